use crate::delivery::house::House;
use crate::store::Place;
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
    house.delivery.ledger.trim(trim).await.expect("trimmed");
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
