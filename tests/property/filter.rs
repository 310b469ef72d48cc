//! Filters: what is printed reads as the same, and the evaluator against the laws of logic and a second, naive one.

use crate::generate;
use carillon::scim::Object;
use carillon::scim::compare::fold;
use carillon::scim::filter::{Expression, Filter, Operator, parse, parse_path, resolve};
use carillon::scim::schema::{Registry, ResourceType};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization as _;

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::builtin);

fn user() -> &'static ResourceType {
    REGISTRY.by_name("User").expect("User")
}

fn resolved(expression: &Expression) -> Filter {
    resolve(user(), expression).expect("the attributes are User's")
}

fn matches(expression: &Expression, resource: &Object) -> bool {
    resolved(expression).matches(resource)
}

fn negated(expression: &Expression) -> Expression {
    Expression::Not(Box::new(expression.clone()))
}

/// Whole User resources.
fn resource() -> impl Strategy<Value = Object> {
    (generate::user_document(), 0..6_usize, generate::groups())
        .prop_map(|(document, number, groups)| generate::whole(&document, &generate::identity(number), &groups))
}

const OPERATORS: [Operator; 9] =
    [Operator::Eq, Operator::Ne, Operator::Co, Operator::Sw, Operator::Ew, Operator::Gt, Operator::Ge, Operator::Lt, Operator::Le];

/// Paths and literals of every kind, whether or not they resolve.
fn any_term() -> impl Strategy<Value = Expression> {
    let path = prop_oneof![
        "\\$?[a-zA-Z][a-zA-Z0-9_$-]{0,8}",
        "[a-z]{1,5}\\.\\$ref",
        "urn:[a-z]{1,4}:[0-9]\\.[0-9]:[A-Za-z]{1,5}:[a-z]{1,4}"
    ];
    let value = prop_oneof![
        any::<String>().prop_filter("NUL is refused", |text| !text.contains('\0')).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Quarters are exact in decimal and in binary.
        any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    (path, proptest::sample::select(&OPERATORS[..]), value).prop_map(|(path, operator, value)| Expression::Compare {
        path,
        operator,
        value,
    })
}

/// What RFC 7644 Table 3 says of one string attribute that is not case-exact, written down once more.
fn naive(value: Option<&str>, operator: Operator, wanted: &str) -> bool {
    let wanted = wanted.nfkc().collect::<String>().to_lowercase();
    let Some(value) = value.map(|value| value.nfkc().collect::<String>().to_lowercase()) else { return operator == Operator::Ne };
    match operator {
        Operator::Eq => value == wanted,
        Operator::Ne => value != wanted,
        Operator::Co => value.contains(&wanted),
        Operator::Sw => value.starts_with(&wanted),
        Operator::Ew => value.ends_with(&wanted),
        Operator::Gt => value > wanted,
        Operator::Ge => value >= wanted,
        Operator::Lt => value < wanted,
        Operator::Le => value <= wanted,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_filter_reads_as_the_same(expression in generate::expression()) {
        prop_assert_eq!(parse(&expression.to_string()), Ok(expression));
    }

    #[test]
    fn a_printed_term_reads_as_the_same(term in any_term()) {
        prop_assert_eq!(parse(&term.to_string()), Ok(term));
    }

    #[test]
    fn garbage_is_read_or_refused(text in any::<String>(), like in "[a-z .()\\[\\]\"\\\\0-9ü-]{0,40}") {
        for text in [text, like] {
            if let Ok(expression) = parse(&text) {
                prop_assert_eq!(parse(&expression.to_string()), Ok(expression));
            }
            let _ = parse_path(&text);
        }
    }

    #[test]
    fn a_damaged_filter_is_read_or_refused(
        expression in generate::expression(),
        place in any::<prop::sample::Index>(),
        with in any::<char>(),
    ) {
        let text = expression.to_string();
        let mut letters: Vec<char> = text.chars().collect();
        let place = place.index(letters.len());
        letters[place] = with;
        let _ = parse(&letters.iter().collect::<String>());
        letters.truncate(place);
        let _ = parse(&letters.iter().collect::<String>());
        let _ = parse_path(&letters.iter().collect::<String>());
    }

    #[test]
    fn not_is_the_complement(expression in generate::expression(), resource in resource()) {
        prop_assert_ne!(matches(&negated(&expression), &resource), matches(&expression, &resource));
    }

    #[test]
    fn de_morgan(left in generate::expression(), right in generate::expression(), resource in resource()) {
        let both = Expression::And(vec![left.clone(), right.clone()]);
        let either_not = Expression::Or(vec![negated(&left), negated(&right)]);
        prop_assert_eq!(matches(&negated(&both), &resource), matches(&either_not, &resource));
    }

    #[test]
    fn a_filter_without_groups_does_not_look_at_them(expression in generate::expression_without_groups()) {
        prop_assert!(!resolved(&expression).mentions("groups"));
    }

    #[test]
    fn a_simple_comparison_is_what_the_table_says(
        resource in resource(),
        path in proptest::sample::select(&["userName", "displayName", "nickName", "title"][..]),
        operator in proptest::sample::select(&OPERATORS[..]),
        wanted in generate::text(),
    ) {
        let expected = naive(resource.get(path).and_then(Value::as_str), operator, wanted.as_str().expect("a text"));
        let term = Expression::Compare { path: path.into(), operator, value: wanted };
        prop_assert_eq!(matches(&term, &resource), expected);
    }

    #[test]
    fn one_value_satisfies_the_brackets(resource in resource(), term in generate::term()) {
        let Expression::ValuePath { path, filter } = &term else { return Ok(()) };
        let path = carillon::scim::path::resolve(user(), path).expect("a path");
        let inner = carillon::scim::filter::resolve_within(&path, filter).expect("a filter");
        let values = carillon::scim::resource::values(&resource, &path);
        prop_assert_eq!(matches(&term, &resource), values.iter().any(|value| inner.matches_element(value)));
    }

    #[test]
    fn folding_is_done_once(text in any::<String>()) {
        let folded = fold(&text).into_owned();
        prop_assert_eq!(fold(&folded).into_owned(), folded.clone());
        let decomposed: String = text.nfd().collect();
        prop_assert_eq!(fold(&decomposed).into_owned(), folded);
    }
}

#[test]
fn matches_and_misses_are_both_frequent() {
    const PAIRS: usize = 2_000;
    let mut runner = TestRunner::deterministic();
    let strategies = [generate::expression().boxed(), generate::expression_without_groups().boxed(), generate::term()];
    for expressions in strategies {
        let mut matching = 0;
        for _ in 0..PAIRS {
            let expression = expressions.new_tree(&mut runner).expect("a filter").current();
            let resource = resource().new_tree(&mut runner).expect("a resource").current();
            matching += usize::from(matches(&expression, &resource));
        }
        let share = matching * 100 / PAIRS;
        assert!((10..=90).contains(&share), "{share} % match");
    }
}
