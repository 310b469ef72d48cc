use super::*;
use proptest::prelude::*;

const RULES: [fn(&Schedule) -> &Rule; 5] = [
    |schedule| &schedule.outage,
    |schedule| &schedule.unauthorized,
    |schedule| &schedule.misplaced,
    |schedule| &schedule.forbidden,
    |schedule| &schedule.unsendable,
];

fn standard() -> (Pace, Instant) {
    (Pace::new(Arc::new(Schedule::STANDARD)), Instant::now())
}

/// Fails until the stream is to be paused; each wait is as long as its share of what it may be.
fn waits_until_paused(class: Class, random: u64) -> (Vec<Duration>, &'static str) {
    let (mut pace, mut now) = standard();
    let mut waits = Vec::new();
    loop {
        match pace.failed(class, pace.round(), now, random) {
            Step::Wait(wait) => {
                assert_eq!(pace.gait(now), if wait.is_zero() { Gait::Probe } else { Gait::Until(now + wait) });
                waits.push(wait);
                now += wait.max(Duration::from_millis(1));
            }
            Step::Pause(reason) => return (waits, reason),
        }
        assert!(waits.len() < 2_000_000, "it never ends");
    }
}

proptest! {
    /// 8935-2-03
    #[test]
    fn waits_stay_within_their_ceiling_and_ceilings_never_fall(failures in 1u32..200, hours in 0u64..100, random: u64, rule in 0usize..5) {
        let rule = RULES[rule](&Schedule::STANDARD);
        let elapsed = Duration::from_secs(hours * 3600);
        let (ceiling, wait) = (rule.ceiling(failures, elapsed), rule.wait(failures, elapsed, random));
        prop_assert!(wait <= ceiling && wait >= ceiling / 2 * rule.least_halves);
        prop_assert!(ceiling <= rule.late_cap.max(rule.cap));
        prop_assert!(rule.ceiling(failures + 1, elapsed) >= ceiling);
        prop_assert!(rule.ceiling(failures, elapsed + HOUR) >= ceiling);
        prop_assert!(rule.wait(failures, elapsed, u64::MAX) >= wait);
    }

    #[test]
    fn retry_after_is_clamped_and_is_no_failure(seconds: Option<u64>, times in 1usize..40, random: u64) {
        let (mut pace, mut now) = standard();
        for _ in 0..times {
            let wait = pace.held(seconds.map(Duration::from_secs), pace.round(), now, random);
            prop_assert!(wait >= SECOND && wait <= HOUR);
            prop_assert_eq!(pace.gait(now), Gait::Until(now + wait));
            now += wait;
            prop_assert_eq!(pace.gait(now), Gait::Probe);
        }
        prop_assert!(pace.troubles.is_empty());
        pace.went_well(pace.round());
        prop_assert_eq!(pace.gait(now), Gait::Open);
    }
}

/// 8935-2-03
#[test]
fn an_outage_is_waited_out_for_three_days() {
    let (waits, reason) = waits_until_paused(Class::Unreachable, u64::MAX);
    let millis = |wait: &Duration| (wait.as_nanos() + 500_000) / 1_000_000;
    let first: Vec<u128> = waits.iter().take(11).map(millis).collect();
    assert_eq!(first, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 900_000]);
    assert_eq!(millis(waits.last().expect("a wait")), 3_600_000);
    let total: Duration = waits.iter().sum();
    assert!(total >= 72 * HOUR && total < 73 * HOUR, "{total:?}");
    assert_eq!(reason, "the receiver has not answered for 72 hours");
}

/// 8935-4-05
#[test]
fn a_credential_gets_ten_tries_in_a_quarter_of_an_hour() {
    for random in [0, u64::MAX / 2, u64::MAX] {
        let (waits, reason) = waits_until_paused(Class::Unauthorized, random);
        assert_eq!((waits.len(), reason), (9, "the receiver does not accept the authorization"));
        let total: Duration = waits.iter().sum();
        assert!(total > 7 * MINUTE && total < 15 * MINUTE + SECOND, "{total:?}");
    }
}

#[test]
fn a_missing_endpoint_gets_five_tries_in_an_hour() {
    for (class, reason) in [
        (Class::Misplaced, "the receiver has no endpoint for events there"),
        (Class::Forbidden, "the endpoint's name has an address that this server does not send to"),
    ] {
        for random in [0, u64::MAX] {
            let (waits, paused) = waits_until_paused(class, random);
            assert_eq!((waits.len(), paused), (4, reason));
            let total: Duration = waits.iter().sum();
            assert!(total >= HOUR / 2 && total <= HOUR, "{total:?}");
        }
    }
}

#[test]
fn requests_that_fail_together_are_one_failure() {
    let (mut pace, now) = standard();
    let round = pace.round();
    let first = pace.failed(Class::Unreachable, round, now, u64::MAX);
    for _ in 0..7 {
        assert_eq!(pace.failed(Class::Unreachable, round, now, u64::MAX), first);
    }
    pace.went_well(round);
    assert!(matches!(pace.gait(now), Gait::Until(_)), "an answer from before the failure opens nothing");
    assert_eq!(pace.failed(Class::Unreachable, pace.round(), now, u64::MAX), Step::Wait(OUTAGE.wait(2, Duration::ZERO, u64::MAX)));
    pace.went_well(pace.round());
    assert_eq!(pace.gait(now), Gait::Open);
    assert_eq!(pace.failed(Class::Unreachable, pace.round(), now, u64::MAX), first);
}

#[test]
fn failures_of_one_kind_do_not_forgive_another() {
    let (mut pace, mut now) = standard();
    for attempt in 1..=9 {
        assert!(matches!(pace.failed(Class::Unauthorized, pace.round(), now, 0), Step::Wait(_)), "{attempt}");
        now += SECOND;
        assert!(matches!(pace.failed(Class::Failing, pace.round(), now, 0), Step::Wait(_)));
        now += SECOND;
    }
    assert!(matches!(pace.failed(Class::Unauthorized, pace.round(), now, 0), Step::Pause(_)));
}

/// 8935-4-03
#[test]
fn twenty_refused_events_in_ten_minutes_are_too_many() {
    let (mut pace, start) = standard();
    let apart = |seconds| move |number: u32| start + Duration::from_secs(seconds) * number;
    assert!((0..200).map(apart(32)).all(|at| pace.refused(at).is_none()));
    let (mut pace, _) = standard();
    let steps: Vec<bool> = (0..20).map(apart(30)).map(|at| pace.refused(at).is_some()).collect();
    assert_eq!(steps.iter().position(|step| *step), Some(19));
}

#[test]
fn a_host_that_is_back_ends_the_wait_of_an_outage_alone() {
    let (mut pace, now) = standard();
    pace.failed(Class::Unreachable, 0, now, u64::MAX);
    pace.hasten(now);
    assert_eq!(pace.gait(now), Gait::Probe);
    let (mut pace, _) = standard();
    pace.failed(Class::Unauthorized, 0, now, u64::MAX);
    pace.hasten(now);
    assert!(matches!(pace.gait(now), Gait::Until(_)));
    let (mut pace, _) = standard();
    pace.held(Some(HOUR), 0, now, 0);
    pace.hasten(now);
    assert!(matches!(pace.gait(now), Gait::Until(_)));
}

#[test]
fn what_a_host_keeps_from_a_stream_counts_for_its_three_days() {
    let (mut pace, now) = standard();
    assert_eq!(pace.shut_out(now), Step::Wait(Duration::ZERO));
    assert_eq!(pace.gait(now), Gait::Probe);
    assert_eq!(pace.shut_out(now + 71 * HOUR), Step::Wait(Duration::ZERO));
    assert!(matches!(pace.shut_out(now + 72 * HOUR), Step::Pause(_)));
}

#[test]
fn what_is_no_failure_of_the_stream_has_no_rule() {
    let ruled: Vec<&str> =
        Class::ALL.iter().filter(|class| Schedule::STANDARD.rule(**class).is_some()).map(|class| class.name()).collect();
    assert_eq!(ruled, ["unreachable", "failing", "unauthorized", "misplaced", "forbidden", "unsendable"]);
}
