use super::*;
use crate::base::id::StreamId;
use crate::delivery::ObservedStream;
use crate::store::Place;

fn seen() -> Observation {
    let id = StreamId::parse("hr-feed").expect("an id");
    let stream = ObservedStream { id, lag_events: 7, lag_ms: 1_500, oldest_ms: 90_000, dead_letters: 2 };
    Observation { head: Place(12), floor: Place(3), count: 1, streams: vec![stream] }
}

#[test]
fn names_are_in_order_and_none_stands_twice() {
    let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("carillon_")), "{names:?}");
    for metric in METRICS {
        assert!(!metric.help.contains(['\n', '\\']) && metric.help.ends_with('.'), "{}", metric.name);
        assert_eq!(matches!(metric.kind, Kind::Counter(_)), metric.name.ends_with("_total"), "{}", metric.name);
    }
}

#[test]
fn what_has_no_value_yet_is_described() {
    let text = exposition("", None);
    for metric in METRICS {
        assert!(text.contains(&metric.head()), "{}", metric.name);
    }
    assert_eq!(text.lines().count(), 2 * METRICS.len());
}

#[test]
fn what_was_recorded_and_what_is_read_now_stand_in_one_order() {
    let recorded = "# HELP carillon_poll_waiters Requests.\n# TYPE carillon_poll_waiters gauge\ncarillon_poll_waiters 4\n\n\
        # TYPE another_programs counter\nanother_programs{a=\"b\"} 5\n\n";
    let text = exposition(recorded, Some(&seen()));
    let values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let expected = [
        "another_programs{a=\"b\"} 5",
        "carillon_dead_letters{stream=\"hr-feed\"} 2",
        "carillon_log_floor 3",
        "carillon_log_head 12",
        "carillon_poll_waiters 4",
        "carillon_stream_lag_events{stream=\"hr-feed\"} 7",
        "carillon_stream_lag_seconds{stream=\"hr-feed\"} 1.5",
        "carillon_stream_oldest_unresolved_seconds{stream=\"hr-feed\"} 90",
        "carillon_streams 1",
    ];
    assert_eq!(values, expected);
    assert!(text.contains("# HELP carillon_poll_waiters Requests.\n") && !text.contains("\n\n"));
}
