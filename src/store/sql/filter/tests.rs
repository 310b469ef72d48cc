//! The statements that filters compile to, as text.

use super::*;
use crate::base::id::TypeCode;
use crate::scim::filter::{parse, resolve};
use crate::scim::schema::Registry;

fn compiled(kind: u16, text: &str) -> Option<Candidates> {
    let registry = Registry::builtin();
    let mut codes = 0;
    let catalogue = Catalogue::new(&registry, |_| {
        codes += 1;
        Ok::<_, ()>(codes)
    });
    let catalogue = catalogue.expect("a catalogue");
    let entry = catalogue.entry(TypeCode(kind)).expect("a type");
    let filter = resolve(&entry.kind, &parse(text).expect(text)).expect(text);
    candidates(&catalogue, entry, &filter, None)
}

type Shape = Option<(String, bool, Breadth)>;

/// The statement without what all statements share, whether it is exact, and its breadth.
fn shape(kind: u16, text: &str) -> Shape {
    compiled(kind, text).map(|candidates| {
        let sql = candidates.sql.replace(" WHERE tenant = $1 AND type = $2 AND", "").replace("SELECT id FROM ", "");
        (sql.strip_suffix(" ORDER BY id").unwrap_or(&sql).to_owned(), candidates.exact, candidates.breadth)
    })
}

#[expect(clippy::unnecessary_wraps, reason = "reads as the option that it is compared with")]
fn some(sql: &str, exact: bool, breadth: Breadth) -> Shape {
    Some((sql.to_owned(), exact, breadth))
}

#[test]
fn comparisons_of_indexed_attributes_are_ranges() {
    assert_eq!(shape(1, r#"userName eq "A""#), some("unique_key path = $3 AND value = $4", true, Breadth::One));
    assert_eq!(shape(1, r#"externalId eq "A""#), some("lookup path = $3 AND value = $4", true, Breadth::Few));
    assert_eq!(shape(1, r#"id eq "A""#), some("resource id = $3", true, Breadth::One));
    let range = |sign: &str| some(&format!("SELECT DISTINCT id FROM lookup path = $3 AND value {sign} $4"), true, Breadth::Many);
    assert_eq!(shape(1, r#"emails.value gt "A""#), range(">"));
    assert_eq!(shape(1, r#"emails ge "A""#), range(">="));
    assert_eq!(shape(1, r#"emails[value lt "A"]"#), range("<"));
    assert_eq!(shape(1, r#"emails.value le "A""#), range("<="));
    assert_eq!(shape(1, "emails.value pr"), range(">"));
    let prefix = "SELECT DISTINCT id FROM unique_key path = $3 AND value >= $4 AND value < $5";
    assert_eq!(shape(1, r#"userName sw "A""#), some(prefix, true, Breadth::Many));
}

#[test]
fn members_are_found_by_their_rows() {
    let rows = "resource id IN (SELECT group_id FROM member WHERE tenant = $1 AND member_id = $3)";
    assert_eq!(shape(2, r#"members.value eq "x""#), some(rows, true, Breadth::Few));
    assert_eq!(shape(2, r#"members[value eq "x"]"#), some(rows, true, Breadth::Few));
    assert_eq!(shape(2, r#"members[value eq "x" and type eq "User"]"#), some(rows, false, Breadth::Few));
    assert_eq!(shape(2, r#"members.display eq "x""#), None);
    let inside = "resource id IN (WITH RECURSIVE inside(id) AS (SELECT member_id FROM member WHERE tenant = $1 AND group_id = $3 \
        UNION SELECT member_id FROM inside JOIN member ON tenant = $1 AND group_id = inside.id) SELECT id FROM inside)";
    assert_eq!(shape(1, r#"groups eq "x""#), some(&inside.replace("SELECT id FROM inside", "inside"), false, Breadth::Few));
}

#[test]
fn what_no_index_tells_is_not_narrowed() {
    for text in [
        "active eq true",
        r#"userName ne "a""#,
        r#"userName co "a""#,
        r#"userName ew "a""#,
        "userName eq null",
        r#"not (userName eq "a")"#,
        r#"groups.display eq "a""#,
        r#"meta.created gt "2011-05-13T04:42:34Z""#,
        r#"userName eq "a" or active eq true"#,
        r#"id gt "a""#,
    ] {
        assert_eq!(shape(1, text), None, "{text}");
    }
}

#[test]
fn an_intersection_reads_its_narrowest_parts() {
    let narrow = some("unique_key path = $3 AND value = $4", false, Breadth::One);
    assert_eq!(shape(1, r#"emails.value sw "a" and userName eq "a" and active eq true"#), narrow);
    assert_eq!(shape(1, r#"userName eq "a" and active eq true"#), narrow);
    let both = "lookup path = $3 AND value = $4 INTERSECT lookup path = $5 AND value = $6";
    assert_eq!(shape(1, r#"externalId eq "a" and emails.value eq "b""#), some(both, true, Breadth::Few));
    assert_eq!(shape(1, r#"externalId eq "a" and emails.value eq "b" and userName sw "c""#), some(both, false, Breadth::Few));
    // One value must be both; the index of values cannot tell.
    let compiled = compiled(1, r#"emails[value sw "a" and value sw "ab"]"#).expect("candidates");
    assert!(!compiled.exact && compiled.sql.contains(" INTERSECT "));
}

#[test]
fn a_union_needs_every_part() {
    let both = "unique_key path = $3 AND value = $4 UNION lookup path = $5 AND value = $6";
    assert_eq!(shape(1, r#"userName eq "a" or externalId eq "b""#), some(both, true, Breadth::Few));
    assert_eq!(shape(1, r#"userName eq "a" or (externalId eq "b" and active eq true)"#), some(both, false, Breadth::Few));
    let nested = compiled(1, r#"externalId eq "a" and (emails.value eq "b" or userName eq "c")"#).expect("candidates");
    assert!(nested.exact && nested.sql.contains("INTERSECT SELECT id FROM (SELECT id"), "{}", nested.sql);
}

#[test]
fn a_prefix_ends_where_the_next_character_begins() {
    assert_eq!(successor("ab").as_deref(), Some("ac"));
    assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
    assert_eq!(successor("\u{d7ff}").as_deref(), Some("\u{e000}"));
    assert_eq!(successor("\u{10ffff}"), None);
    assert_eq!(successor(""), None);
}

#[test]
fn a_long_operand_is_cut_and_evaluated_again() {
    for operator in ["eq", "sw", "gt", "ge", "lt", "le"] {
        for (length, exact) in [(FAITHFUL_BYTES, true), (FAITHFUL_BYTES + 1, false), (4_000, false)] {
            let compiled = compiled(1, &format!("userName {operator} \"{}\"", "x".repeat(length))).expect("candidates");
            assert_eq!(compiled.exact, exact, "{operator} {length}");
            let longest = compiled.values.iter().filter_map(|bound| match bound {
                Bound::Value(Comparable::Text(text)) => Some(text.len()),
                _ => None,
            });
            assert!(longest.max().expect("a bound") <= limits::INDEXED_VALUE_BYTES);
        }
    }
}

#[test]
fn decimals_are_ranges_where_both_orders_agree() {
    let bound = |operator, value| number_bounds(Type::Decimal, operator, &value);
    let half = Comparable::Decimal(0.5);
    assert_eq!(bound(Operator::Gt, half.clone()), Some((vec![(">", half)], true)));
    let zero = Comparable::Integer(0);
    assert_eq!(bound(Operator::Gt, zero.clone()), Some((vec![(">=", zero)], false)));
    assert_eq!(bound(Operator::Eq, Comparable::Integer(i64::MAX)), None);
    assert!(number_bounds(Type::Integer, Operator::Eq, &Comparable::Integer(i64::MAX)).is_some_and(|(_, exact)| exact));
}
