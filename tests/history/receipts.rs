//! The rules of what receivers have persisted, and the ways to break them.

use crate::sample;
use crate::support::history::Rule;
use crate::support::history::receipts::{Receipts, check_receipts};
use serde_json::{Value, json};

/// The log with `jti`s as the feed has them.
fn log() -> Vec<Value> {
    let mut log = sample::history().log;
    for claims in &mut log {
        claims["jti"] = format!("{}.feed", claims["jti"].as_str().expect("a jti")).into();
    }
    log
}

/// A receiver that got everything, some of it more than once, and other subjects' events in another order.
fn receipts(name: &str) -> Receipts {
    let mut sets = log();
    for claims in &mut sets {
        claims["jti"] = claims["jti"].as_str().expect("a jti").replace(".feed", &format!(".{name}")).into();
        claims["aud"] = json!([name]);
    }
    // The log's second event is of another subject than the first, and its eleventh of another than the twelfth.
    sets.swap(0, 1);
    sets.swap(10, 11);
    let again = [sets[3].clone(), sets[12].clone(), sets[3].clone()];
    sets.insert(6, again[0].clone());
    sets.extend(again);
    Receipts { receiver: name.to_owned(), sets }
}

/// One way to break what a receiver has, and the rule that must see it.
struct Mutation {
    name: &'static str,
    rule: Rule,
    change: fn(&mut Vec<Value>),
}

const MUTATIONS: [Mutation; 9] = [
    Mutation {
        name: "the last event never came",
        rule: Rule::ReceivedAll,
        change: |sets| sets.retain(|set| set["jti"] != "j12.a"),
    },
    Mutation { name: "an event was passed over", rule: Rule::ReceivedAll, change: |sets| sets.retain(|set| set["jti"] != "j3.a") },
    Mutation { name: "nothing came", rule: Rule::ReceivedAll, change: Vec::clear },
    Mutation {
        name: "an event that never was",
        rule: Rule::ReceivedFromTheLog,
        change: |sets| sets.push(sample::event(90, "t90", "/Users/x", "create:full", json!({}))),
    },
    Mutation { name: "an event told otherwise", rule: Rule::ReceivedFromTheLog, change: |sets| sets[0]["txn"] = "t99".into() },
    Mutation {
        name: "a subject's events in another order",
        rule: Rule::ReceivedInOrder,
        // The join of a, and that of b.
        change: |sets| sets.swap(3, 4),
    },
    Mutation {
        name: "an event after a later one of its subject, which came again in order",
        rule: Rule::ReceivedInOrder,
        change: |sets| {
            let create = sets.remove(1);
            sets.insert(7, create.clone());
            sets.push(create);
        },
    },
    Mutation {
        name: "the same event under another jti",
        rule: Rule::ReceivedAlike,
        change: |sets| sets.last_mut().expect("a set")["jti"] = "j3.b".into(),
    },
    Mutation {
        name: "the same event with other claims",
        rule: Rule::ReceivedAlike,
        change: |sets| sets.last_mut().expect("a set")["iat"] = 2.into(),
    },
];

#[test]
fn what_came_at_least_once_and_in_order_is_accepted() {
    assert_eq!(check_receipts(&log(), &[receipts("a"), receipts("b")]), []);
    assert_eq!(check_receipts(&log(), &[]), []);
    assert_eq!(check_receipts(&[], &[Receipts::default()]), []);
}

#[test]
fn every_way_to_break_receipts_is_caught() {
    for Mutation { name, rule, change } in MUTATIONS {
        let (mut bad, good) = (receipts("a"), receipts("b"));
        change(&mut bad.sets);
        let violations = check_receipts(&log(), &[good, bad]);
        assert!(violations.iter().any(|violation| violation.rule == rule), "{name}: expected {rule:?}, found {violations:?}");
        assert!(violations.iter().all(|violation| violation.place.starts_with("a ")), "{name}: {violations:?}");
    }
}

#[test]
fn an_event_that_one_receiver_never_got_is_caught_whichever_it_is() {
    for place in 0..log().len() {
        let mut bad = receipts("a");
        let event = format!("j{place}.a");
        bad.sets.retain(|claims| claims["jti"] != event.as_str());
        let rules: Vec<Rule> = check_receipts(&log(), &[bad]).into_iter().map(|violation| violation.rule).collect();
        assert_eq!(rules, [Rule::ReceivedAll], "{place}");
    }
}
