use super::*;
use crate::delivery::house::House;
use crate::store::ledger::Trim;

fn places(part: &super::Part) -> Vec<u64> {
    part.events.iter().map(|logged| logged.place.0).collect()
}

/// I5
#[tokio::test]
async fn what_was_removed_before_it_was_read_is_never_passed_over_in_silence() {
    let house = House::stopped().await;
    house.write(&["a", "b", "c", "d"]).await;
    let trim = Trim { through: Place(2), before: crate::base::clock::Timestamp(0), limit: 100 };
    house.delivery.ledger.trim(Place(0), trim).await.expect("trimmed");
    let house = house.started().await;
    let part = house.delivery.tail.read_now(Place(1), 10).await.expect("a part");
    assert_eq!((part.floor, part.through, part.more, places(&part)), (Place(2), Place(4), false, vec![3, 4]));
    let part = house.delivery.tail.read_now(Place(2), 1).await.expect("a part");
    assert_eq!((part.through, part.more, places(&part)), (Place(3), true, vec![3]));
}

#[tokio::test]
async fn a_reader_sees_what_was_committed_before_it_asked() {
    let house = House::new().await;
    for number in 1..50 {
        house.write(&["a"]).await;
        let part = house.delivery.tail.read_now(Place(number - 1), 10).await.expect("a part");
        assert_eq!((places(&part), part.through), (vec![number], Place(number)));
    }
    // Also where nobody follows the log.
    let house = house.stop().await;
    house.write(&["a"]).await;
    let part = house.delivery.tail.read_now(Place(49), 10).await.expect("a part");
    assert_eq!(places(&part), [50]);
}

#[tokio::test(start_paused = true)]
async fn while_nobody_follows_nothing_is_held_and_nothing_is_missed() {
    let house = House::new().await;
    let tail = &house.delivery.tail;
    let mut head = tail.head();
    while !tail.ring().is_followed {
        tokio::task::yield_now().await;
    }
    house.write(&["a", "b"]).await;
    head.wait_for(|head| *head == Place(2)).await.expect("it is read");
    assert_eq!(tail.ring().events.len(), 2);
    drop(head);
    for _ in 0..100 {
        tokio::time::advance(Duration::from_millis(100)).await;
        if !tail.ring().is_followed {
            break;
        }
    }
    assert!(!tail.ring().is_followed && tail.ring().events.is_empty());
    house.write(&["c"]).await;
    let part = tail.read(Place(1), 10).await.expect("a part");
    assert_eq!((places(&part), part.through), (vec![2, 3], Place(3)));
    let mut head = tail.head();
    head.wait_for(|head| *head == Place(3)).await.expect("it goes on where the log is");
    house.write(&["d"]).await;
    head.wait_for(|head| *head == Place(4)).await.expect("it is read");
    assert_eq!(tail.ring().events.len(), 1);
    let part = tail.read(Place(2), 10).await.expect("a part");
    assert_eq!(places(&part), [3, 4]);
}

#[tokio::test]
async fn what_the_log_no_longer_keeps_is_forgotten() {
    let house = House::new().await;
    house.write(&["a", "b", "c"]).await;
    let part = house.delivery.tail.read_now(Place(0), 10).await.expect("a part");
    assert_eq!((places(&part), part.floor), (vec![1, 2, 3], Place(0)));
    let trim = Trim { through: Place(2), before: crate::base::clock::Timestamp(0), limit: 100 };
    house.delivery.ledger.trim(Place(0), trim).await.expect("trimmed");
    house.write(&["d"]).await;
    let part = house.delivery.tail.read_now(Place(0), 10).await.expect("a part");
    assert_eq!((places(&part), part.floor), (vec![3, 4], Place(2)));
}
