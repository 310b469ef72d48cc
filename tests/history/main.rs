//! The checker of histories is itself checked: it accepts a good history and catches each way to break it.
#![allow(unreachable_pub, reason = "a test program exports nothing")]
#![allow(clippy::needless_pass_by_value, reason = "a json! literal is given as it is written")]

#[path = "../support/mod.rs"]
mod support;

mod mutations;
mod receipts;
mod sample;

use support::history::{Rule, check, check_walks};

#[test]
fn a_good_history_is_accepted() {
    let violations = check(&sample::history());
    assert_eq!(violations, []);
}

#[test]
fn every_mutation_is_caught() {
    let good = sample::history();
    for mutation in mutations::all() {
        let mut bad = good.clone();
        (mutation.change)(&mut bad);
        let rules: Vec<Rule> = check(&bad).into_iter().map(|violation| violation.rule).collect();
        assert!(rules.contains(&mutation.rule), "{}: expected {:?}, found {rules:?}", mutation.name, mutation.rule);
    }
}

#[test]
fn dropping_any_event_is_caught() {
    let good = sample::history();
    for place in 0..good.log.len() {
        let mut bad = good.clone();
        let gone = bad.log.remove(place);
        assert!(!check(&bad).is_empty(), "nobody missed {gone}");
    }
}

#[test]
fn repeating_any_event_is_caught_even_under_another_jti() {
    let good = sample::history();
    for place in 0..good.log.len() {
        let mut bad = good.clone();
        let mut again = bad.log[place].clone();
        again["jti"] = "another".into();
        bad.log.insert(place + 1, again);
        assert!(!check(&bad).is_empty(), "nobody saw {} twice", bad.log[place]);
    }
}

#[test]
fn losing_any_resource_or_acknowledgement_is_caught() {
    let good = sample::history();
    for subject in good.resources.keys() {
        let mut bad = good.clone();
        bad.resources.remove(subject);
        assert!(!check(&bad).is_empty(), "nobody missed {subject}");
    }
    for index in 0..good.operations.len() {
        let mut bad = good.clone();
        let gone = bad.operations.remove(index);
        let was_done = gone.outcome != support::history::Outcome::Refused;
        assert_eq!(!check(&bad).is_empty(), was_done && gone.marks != ["never"], "{gone:?}");
    }
}

#[test]
fn walks_that_differ_are_caught() {
    let log = sample::history().log;
    assert_eq!(check_walks(&log, &log), []);
    assert_eq!(check_walks(&log, &log[..log.len() - 1]).len(), 1);
    assert_eq!(check_walks(&log[1..], &log).len(), 1);
    let mut swapped = log.clone();
    swapped.swap(1, 2);
    assert_eq!(check_walks(&log, &swapped).len(), 1);
}
