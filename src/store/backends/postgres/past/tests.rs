use super::*;

fn event(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

#[test]
fn what_does_not_go_on_from_what_is_known_is_another_past() {
    let known = Known { server: Some("7/1".into()), last: Some((5, event(5))) };
    let same = Sight { last_place: 8, last_event: Some(event(8)), server: Some("7/1".into()), known_event: Some(event(5)) };
    let trimmed = Sight { known_event: None, ..same.clone() };
    let promoted = Sight { server: Some("7/2".into()), ..same.clone() };
    let shorter = Sight { last_place: 7, ..same.clone() };
    let overtaken = Sight { known_event: Some(event(50)), ..same.clone() };
    for (sight, why) in [
        (same, None),
        (trimmed, None),
        (promoted, Some("it is server and timeline 7/2 and was 7/1")),
        (shorter, Some("its log ends at place 7 and had reached 8")),
        (overtaken, Some("at place 5 of its log is another event than before")),
    ] {
        assert_eq!(contradiction(&known, 8, &sight).as_deref(), why);
    }
}

#[cfg(feature = "servers")]
mod on_a_server {
    use super::*;
    use crate::store::backends::postgres::server::{PATIENCE, Schema, reached, stage};
    use crate::store::ledger::Resolution;
    use crate::store::{Ledger, Place, Store, StoreErrorKind};

    /// Whatever it is that the database holds instead of what it held.
    #[tokio::test]
    async fn a_node_whose_log_was_set_back_is_of_no_more_use() {
        const REPLACED: &str = "UPDATE event SET event_id = gen_random_uuid() WHERE place = 2";
        const SHORTER: &str = "DELETE FROM event WHERE place = 2";
        const PROMOTED: &str = "CREATE OR REPLACE FUNCTION server_identity() RETURNS text LANGUAGE sql AS 'SELECT ''another'''";
        for (change, why) in [(REPLACED, "another event"), (SHORTER, "ends at place 1"), (PROMOTED, "server and timeline another")]
        {
            let schema = Schema::new().await;
            let mut connection = schema.connect().await;
            for version in 1..=2 {
                stage(&mut connection, 0, 1, &[0, 1], version).await;
            }
            let node = schema.node().await;
            reached(&mut node.wake(), 2).await;
            // The listener has to have looked at it: its connection learns of an end of the log that is known already.
            node.shared.past.look(&mut connection).await.expect("the same database");
            let stream = crate::base::id::StreamId::parse("s").expect("an id");
            let resolve =
                || node.resolve(vec![Resolution::of(stream.clone(), 0, crate::store::ledger::PlaceSet::through(Place(2)))]);
            schema.run(change).await;
            let told = tokio::time::timeout(PATIENCE, node.set_back()).await.expect("in time");
            assert!(told.contains(why), "{told}");
            assert_eq!(node.ready().await.map_err(|error| error.kind), Err(StoreErrorKind::Unavailable));
            assert_eq!(resolve().await.expect_err("refused").kind, StoreErrorKind::Unavailable);
            assert!(crate::store::backends::postgres::session::connect(&node.shared, "connect").await.is_err());
            drop((node, connection));
            schema.drop().await;
        }
    }

    /// A role without any right can tell servers apart.
    #[tokio::test]
    async fn the_identity_of_a_server_takes_no_privilege() {
        let schema = Schema::new().await;
        let mut connection = schema.connect().await;
        let name = format!("role_{}", Uuid::new_v4().simple());
        let all =
            sqlx::query_scalar::<_, String>("SELECT server_identity()").fetch_one(&mut connection).await.expect("an identity");
        let grant = format!("CREATE ROLE {name}; GRANT USAGE ON SCHEMA {} TO {name}; SET ROLE {name}", schema.name());
        crate::store::backends::postgres::server::run(&mut connection, grant).await;
        let own =
            sqlx::query_scalar::<_, String>("SELECT server_identity()").fetch_one(&mut connection).await.expect("an identity");
        assert_eq!((own.len() > 9, own), (true, all));
        let end = format!("RESET ROLE; DROP OWNED BY {name}; DROP ROLE {name}");
        crate::store::backends::postgres::server::run(&mut connection, end).await;
        drop(connection);
        schema.drop().await;
    }
}
