//! Units in order: one transaction and one sync for all of them.

use super::*;
use crate::store::Unit;

type Answered = Receiver<Result<Vec<Result<Committed>>>>;

impl Stage {
    fn queue_in_order(&self, units: Vec<Unit>) -> Answered {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job::CommitInOrder(units, None, answer)).expect("room in the queue");
        answered
    }

    fn users(&self, names: &[&str]) -> Vec<Unit> {
        names.iter().map(|name| unit(1_000, vec![self.user(&format!("id-{name}"), name)])).collect()
    }
}

#[test]
fn units_in_order_are_one_transaction() {
    // I1 I2: a crash leaves all of the run or nothing of it, and of each unit all or nothing.
    let mut stage = Stage::new();
    let commits = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&commits);
    let counting = move || {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        false
    };
    stage.writer.start.connection.commit_hook(Some(counting)).expect("a hook");
    let mut answer = stage.queue_in_order(stage.users(&["a", "b", "A", "c"]));
    let mut other = stage.queue(vec![stage.user("other", "d")]);
    stage.run();
    let results = answer.try_recv().expect("an answer").expect("a batch");
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, true]);
    assert!(other.try_recv().expect("an answer").is_ok());
    assert_eq!(commits.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(stage.numbers("SELECT place FROM event ORDER BY place"), [1, 2, 3, 4]);
    assert_eq!(stage.numbers("SELECT n FROM counter"), [4]);
}

#[test]
fn when_their_transaction_is_lost_none_was_tried() {
    let mut stage = Stage::new();
    let broken = "CREATE TRIGGER broken BEFORE INSERT ON event WHEN NEW.place = 3 BEGIN SELECT raise(ROLLBACK, 'broken disk'); END";
    stage.writer.start.connection.execute_batch(broken).expect("a trigger");
    let mut answer = stage.queue_in_order(stage.users(&["a", "b", "c", "d"]));
    stage.run();
    let error = answer.try_recv().expect("an answer").expect_err("the batch is lost");
    assert_eq!(error.kind, StoreErrorKind::Unavailable);
    assert_eq!(stage.numbers("SELECT count(*) FROM resource"), [0]);
    stage.writer.start.connection.execute_batch("DROP TRIGGER broken").expect("a trigger");
    let mut answer = stage.queue_in_order(stage.users(&["a", "b", "c", "d"]));
    stage.run();
    assert!(answer.try_recv().expect("an answer").expect("a batch").iter().all(Result::is_ok));
    assert_eq!(stage.numbers("SELECT place FROM event ORDER BY place"), [1, 2, 3, 4]);
}
