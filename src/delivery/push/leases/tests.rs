//! What a node takes, and what it leaves to others.

use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn survey(own: &[&str], free: &[&str]) -> Survey {
    Survey { others: 1, own: names(own), free: names(free) }
}

#[tokio::test(start_paused = true)]
async fn a_node_takes_its_share_and_what_nobody_else_takes() {
    let mut looks = Looks::default();
    assert_eq!(looks.choose(&survey(&["a"], &["b", "c", "d"]), 2), ["b"]);
    assert_eq!(looks.choose(&survey(&["a", "b"], &["c", "d"]), 2), names(&[]));
    assert_eq!(looks.choose(&survey(&["a", "b", "x"], &["c", "d"]), 2), names(&[]));
    tokio::time::advance(RENEW / 2).await;
    // Somebody has taken one of them, and given back another.
    assert_eq!(looks.choose(&survey(&["a", "b"], &["c", "e"]), 2), names(&[]));
    assert!(!looks.keeps());
    tokio::time::advance(RENEW / 2).await;
    assert_eq!(looks.choose(&survey(&["a", "b"], &["c", "d", "e"]), 2), ["c"]);
    // Nobody wanted it: it does not go to and fro.
    assert!(looks.keeps());
    tokio::time::advance(RENEW / 2).await;
    assert_eq!(looks.choose(&survey(&["a", "b", "c"], &["d", "e"]), 2), ["e"]);
    tokio::time::advance(RENEW / 2).await;
    assert_eq!(looks.choose(&survey(&["a", "b", "c", "e"], &["d"]), 2), ["d"]);
    assert_eq!(looks.choose(&survey(&["a", "b", "c", "d", "e"], &[]), 2), names(&[]));
    tokio::time::advance(LENGTH).await;
    assert!(!looks.keeps());
    // One that is free again is not the one that was free before.
    assert_eq!(looks.choose(&survey(&["a", "b", "c", "e"], &["d"]), 2), names(&[]));
}

#[tokio::test]
async fn what_is_given_back_may_go_when_nothing_of_it_is_under_way() {
    let house = crate::delivery::house::House::new().await;
    let leases = Leases::new(house.ledger(), "node".into());
    let stream = StreamId::parse("a").expect("an id");
    let (with, without) = (Held::new(HashMap::from([(stream.clone(), 1)])), Held::default());
    leases.delivered(&without, |_| false);
    assert_eq!(*leases.handing.borrow(), Handing::Nothing);
    leases.handing.send_replace(Handing::Ending(stream.clone()));
    for (held, is_at_work) in [(&with, false), (&without, true), (&with, true)] {
        leases.delivered(held, |_| is_at_work);
        assert_eq!(*leases.handing.borrow(), Handing::Ending(stream.clone()));
    }
    leases.delivered(&without, |_| false);
    assert_eq!(*leases.handing.borrow(), Handing::Ended(stream.clone()));
    leases.give_back(&[stream], &Persister::new(house.ledger())).await.expect("given back");
    assert_eq!(*leases.handing.borrow(), Handing::Nothing);
}

#[test]
fn what_goes_to_another_node_is_something_that_is_delivered_here() {
    let held = |names: &[&str]| -> HashMap<StreamId, u64> {
        names.iter().map(|name| (StreamId::parse(name).expect("an id"), 1)).collect()
    };
    let going =
        |own: &[&str], delivered: &[&str]| surplus(&held(own), &Held::new(held(delivered)), 2).map(|stream| stream.to_string());
    assert_eq!(going(&["a", "b"], &["a", "b"]), None);
    assert_eq!(going(&["a", "b", "c"], &["a", "b", "c"]).as_deref(), Some("c"));
    // The answer to the claim of the last one was lost.
    assert_eq!(going(&["a", "b", "c"], &["a", "b"]).as_deref(), Some("b"));
    assert_eq!(going(&["a", "b", "c"], &[]), None);
}
