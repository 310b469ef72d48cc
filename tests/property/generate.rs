//! Arbitrary documents and filters.
//!
//! Both draw from the same few values, so that matches and misses are both frequent. Among the values are those that a compiler
//! is likely to get wrong: case and composition, the wildcards and quotes of SQL, empty strings, offsets of time.

use carillon::base::clock::Timestamp;
use carillon::base::id::ResourceId;
use carillon::scim::Object;
use carillon::scim::filter::{Expression, Operator};
use carillon::scim::schema::{ENTERPRISE_USER, USER};
use carillon::scim::version::etag;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// Strings of every attribute that is not an enumeration.
const TEXTS: [&str; 9] = ["ada", "ADA", "adam", "Zoë", "zoe\u{308}", "a_a%", "O'Malley", "\\\"q\"", "ＡＤＡ"];
const KINDS: [&str; 3] = ["work", "home", "Work"];
const GROUP_KINDS: [&str; 2] = ["direct", "indirect"];
/// Instants, some of them spelled in two ways.
const TIMES: [&str; 5] = [
    "2011-05-13T04:42:34Z",
    "2011-05-13T06:42:34+02:00",
    "2011-05-13T04:42:34.001Z",
    "2020-02-29T23:59:59.999-08:00",
    "2026-01-01T00:00:00",
];
const ELEMENTS: std::ops::Range<usize> = 0..4;

/// What a store keeps beside a document: the resource has version 1, and was created when it was last modified.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// `id`
    pub(crate) id: ResourceId,
    /// `meta.created` and `meta.lastModified`
    pub(crate) at: Timestamp,
}

/// The identity of the n-th resource. Ids differ for different numbers; filters look for the first three ids.
pub(crate) fn identity(number: usize) -> Identity {
    let at = Timestamp::parse(TIMES[number % TIMES.len()]).expect("a time");
    Identity { id: ResourceId::parse(&id_text(number)), at }
}

fn id_text(number: usize) -> String {
    format!("0190c7a4-7f2a-7000-8000-{number:012x}")
}

/// The whole resource that the evaluator looks at: the document with `id`, `meta` and the `groups` it is in (as [`groups`] makes
/// them, or as a test computes them).
pub(crate) fn whole(document: &Object, identity: &Identity, groups: &[Value]) -> Object {
    let mut resource = document.clone();
    resource.insert("id".into(), json!(identity.id.to_string()));
    let at = identity.at.to_string();
    resource.insert("meta".into(), json!({"resourceType": "User", "created": at, "lastModified": at, "version": etag(1)}));
    if !groups.is_empty() {
        resource.insert("groups".into(), json!(groups));
    }
    resource
}

/// Values of `groups`, as the membership of a resource makes them.
pub(crate) fn groups() -> impl Strategy<Value = Vec<Value>> {
    let group = (0..3_usize, option::of(text()), select(&GROUP_KINDS[..]));
    vec(
        group.prop_map(|(number, display, kind)| {
            object(&[("value", Some(json!(id_text(number)))), ("display", display), ("type", Some(json!(kind)))]).into()
        }),
        ELEMENTS,
    )
}

/// Canonical User documents, valid by the schema: every name as the schema spells it, without `id`, `meta` and `groups`, and
/// without `null` and `[]`. A `userName` is unlikely to differ from another one's: a store that keeps it unique needs a suffix.
pub(crate) fn user_document() -> impl Strategy<Value = Object> {
    let plain = (text(), option::of(text()), option::of(text()), option::of(text_or_empty()), option::of(any::<bool>()));
    let name = option::of((option::of(text()), option::of(text_or_empty())));
    let lists = (values(text()), values(text()), values(select(&["QQ==", "qQ==", "QUI="][..]).prop_map(Value::from)));
    let enterprise = option::of((option::of(text()), option::of(text())));
    (plain, name, lists, enterprise).prop_map(|(plain, name, (emails, phones, certificates), enterprise)| {
        let (user_name, external_id, display_name, nick_name, active) = plain;
        let name = name.map(|(family, given)| object(&[("familyName", family), ("givenName", given)]));
        let enterprise = enterprise.map(|(department, manager)| {
            let manager = manager.map(|value| json!({"value": value}));
            object(&[("department", department), ("manager", manager)])
        });
        let enterprise = enterprise.filter(|members| !members.is_empty()).map(Value::from);
        let schemas = if enterprise.is_some() { json!([USER, ENTERPRISE_USER]) } else { json!([USER]) };
        object(&[
            ("schemas", Some(schemas)),
            ("externalId", external_id),
            ("userName", Some(user_name)),
            ("name", name.filter(|members| !members.is_empty()).map(Value::from)),
            ("displayName", display_name),
            ("nickName", nick_name),
            ("active", active.map(Value::from)),
            ("emails", list(emails)),
            ("phoneNumbers", list(phones)),
            ("x509Certificates", list(certificates)),
            (ENTERPRISE_USER, enterprise),
        ])
    })
}

/// Filters that resolve against the built-in User type: every kind of attribute, spelled in several ways.
pub(crate) fn expression() -> impl Strategy<Value = Expression> {
    compound(prop_oneof![6 => term(), 1 => group_term()].boxed())
}

/// [`expression`] without `groups`, for what holds documents alone.
pub(crate) fn expression_without_groups() -> impl Strategy<Value = Expression> {
    compound(term())
}

/// One term of a filter: no `and`, `or` or `not` outside brackets, and no `groups`.
pub(crate) fn term() -> BoxedStrategy<Expression> {
    let department = format!("{ENTERPRISE_USER}:department");
    let manager = format!("{ENTERPRISE_USER}.manager.value");
    let times = vec!["meta.lastModified".to_owned(), "meta.created".to_owned()];
    let flags = vec!["active".to_owned(), "emails.primary".to_owned()];
    let texts = vec![
        "userName".into(),
        "USERNAME".into(),
        format!("{USER}:userName"),
        "name.givenName".into(),
        "Name.FamilyName".into(),
        "displayName".into(),
        "nickName".into(),
        "externalId".into(),
        "emails".into(),
        "emails.value".into(),
        "phoneNumbers.display".into(),
        department.clone(),
        manager.clone(),
    ];
    let mut present: Vec<String> =
        ["name", "phoneNumbers", "active", "emails.primary", "x509Certificates", "meta", "schemas"].map(String::from).into();
    present.extend(texts.iter().cloned());
    let mut nullable: Vec<String> = ["active", "emails.type", "phoneNumbers"].map(String::from).into();
    nullable.extend(texts.iter().cloned());
    prop_oneof![
        6 => compare(select(texts), any_operator(), text_or_empty()),
        1 => compare(name("emails.type"), any_operator(), select(&KINDS[..]).prop_map(Value::from)),
        2 => compare(select(flags), equality(), any::<bool>().prop_map(Value::from)),
        2 => compare(select(times), order(), select(&TIMES[..]).prop_map(Value::from)),
        1 => compare(name("id"), any_operator(), (0..3_usize).prop_map(|number| json!(id_text(number)))),
        1 => compare(name("schemas"), equality(), select(&[USER, ENTERPRISE_USER][..]).prop_map(Value::from)),
        1 => compare(name("x509Certificates"), substring(), select(&["QQ==", "Q", "=="][..]).prop_map(Value::from)),
        2 => select(present).prop_map(Expression::Present),
        1 => compare(select(nullable), equality(), Just(Value::Null)),
        4 => value_path("emails", &KINDS),
        1 => value_path("phoneNumbers", &KINDS),
        1 => single_value_path(&manager),
    ]
    .boxed()
}

fn group_term() -> BoxedStrategy<Expression> {
    let ids = (0..3_usize).prop_map(|number| json!(id_text(number)));
    prop_oneof![
        compare(select(vec!["groups".to_owned(), "groups.value".to_owned()]), equality(), ids),
        compare(name("groups.display"), any_operator(), text()),
        name("groups").prop_map(Expression::Present),
        value_path("groups", &GROUP_KINDS).prop_filter("groups have no primary", |term| !term.to_string().contains("primary")),
    ]
    .boxed()
}

fn value_path(path: &'static str, kinds: &'static [&'static str]) -> BoxedStrategy<Expression> {
    let inner = prop_oneof![
        2 => compare(name("type"), any_operator(), select(kinds).prop_map(Value::from)),
        2 => compare(select(vec!["value".to_owned(), "display".to_owned()]), any_operator(), text()),
        1 => compare(name("primary"), equality(), any::<bool>().prop_map(Value::from)),
        1 => compare(name("type"), equality(), Just(Value::Null)),
        1 => select(vec!["value".to_owned(), "TYPE".to_owned(), "display".to_owned()]).prop_map(Expression::Present),
    ];
    let inner = compound(inner.boxed());
    inner.prop_map(move |filter| Expression::ValuePath { path: path.into(), filter: Box::new(filter) }).boxed()
}

/// A value path over a complex attribute that is not multi-valued.
fn single_value_path(manager_value: &str) -> BoxedStrategy<Expression> {
    let manager = manager_value.trim_end_matches(".value").to_owned();
    let within = |path: String, filter| Expression::ValuePath { path, filter: Box::new(filter) };
    let name = compare(select(vec!["givenName".to_owned(), "familyName".to_owned()]), any_operator(), text_or_empty());
    prop_oneof![
        name.prop_map(move |filter| within("name".into(), filter)),
        compare(self::name("value"), any_operator(), text()).prop_map(move |filter| within(manager.clone(), filter)),
    ]
    .boxed()
}

fn compound(term: BoxedStrategy<Expression>) -> impl Strategy<Value = Expression> {
    term.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Expression::And),
            vec(inner.clone(), 2..4).prop_map(Expression::Or),
            inner.prop_map(|operand| Expression::Not(Box::new(operand))),
        ]
    })
}

fn compare(
    path: impl Strategy<Value = String> + 'static,
    operator: impl Strategy<Value = Operator> + 'static,
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Expression> {
    (path, operator, value).prop_map(|(path, operator, value)| Expression::Compare { path, operator, value }).boxed()
}

fn name(path: &'static str) -> Just<String> {
    Just(path.to_owned())
}

fn any_operator() -> impl Strategy<Value = Operator> {
    prop_oneof![equality(), order(), substring()]
}

fn equality() -> impl Strategy<Value = Operator> {
    select(vec![Operator::Eq, Operator::Ne])
}

fn order() -> impl Strategy<Value = Operator> {
    select(vec![Operator::Gt, Operator::Ge, Operator::Lt, Operator::Le, Operator::Eq, Operator::Ne])
}

fn substring() -> impl Strategy<Value = Operator> {
    select(vec![Operator::Co, Operator::Sw, Operator::Ew])
}

/// A string that documents and filters both hold.
pub(crate) fn text() -> impl Strategy<Value = Value> {
    select(&TEXTS[..]).prop_map(Value::from)
}

fn text_or_empty() -> impl Strategy<Value = Value> {
    prop_oneof![9 => text(), 1 => Just(json!(""))]
}

/// Values of a multi-valued attribute with `value`, `display`, `type` and `primary`: at most one is primary, none is empty, and no
/// pair of type and value stands twice (RFC 7643 §2.4).
fn values(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<Value>> {
    let element = (option::weighted(0.9, value), option::of(text()), option::of(select(&KINDS[..])));
    (vec(element, ELEMENTS), option::of((0..ELEMENTS.end, any::<bool>()))).prop_map(|(elements, primary)| {
        let mut list: Vec<Object> = Vec::new();
        for (value, display, kind) in elements {
            let mut element = object(&[("value", value), ("display", display), ("type", kind.map(Value::from))]);
            if let Some((_, flag)) = primary.filter(|(place, _)| *place == list.len()) {
                element.insert("primary".into(), json!(flag));
            }
            let is_repeated = list.iter().any(|other| pair(other) == pair(&element));
            if !element.is_empty() && !is_repeated {
                list.push(element);
            }
        }
        list.into_iter().map(Value::from).collect()
    })
}

fn pair(element: &Object) -> (Option<String>, Option<String>) {
    let folded = |name: &str| element.get(name).and_then(Value::as_str).map(str::to_lowercase);
    (folded("type"), folded("value"))
}

fn list(values: Vec<Value>) -> Option<Value> {
    (!values.is_empty()).then(|| Value::from(values))
}

fn object(members: &[(&str, Option<Value>)]) -> Object {
    let members = members.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)));
    members.collect()
}
