//! What a poll is answered with: the log is read into the window, and what may go is taken from it and rendered.

use super::desk::{Desk, Offer, State};
use super::{PollAnswer, Polls};
use crate::base::id::EventId;
use crate::base::limits;
use crate::delivery::stream::{Gap, Status, Stream, Verification};
use crate::delivery::window::Taken;
use crate::event::claims::Tag;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::store::StoreError;
use crate::store::ledger::{DeadLetter, Place, PlaceSet, Resolution};
use std::sync::Arc;
use tokio::time::Instant;

/// What was found for a poll.
#[derive(Debug)]
pub(super) struct Selection {
    stream: Arc<Stream>,
    tag: Option<Tag>,
    /// The verification event, if it goes first.
    verification: Option<EventId>,
    taken: Vec<Taken>,
    /// Whether there is something that a poll which wants nothing waits for.
    is_ready: bool,
    /// Whether there are unacknowledged SETs beyond those that were taken.
    pub(super) more: bool,
    /// When something that is out is taken back.
    pub(super) next_expiry: Option<Instant>,
    /// Whether the end of the log matters: not to a stream that is paused.
    pub(super) follows_log: bool,
    offer: Option<Offer>,
}

impl Selection {
    fn nothing(stream: &Arc<Stream>) -> Self {
        Self {
            stream: Arc::clone(stream),
            tag: None,
            verification: None,
            taken: Vec::new(),
            is_ready: false,
            more: false,
            next_expiry: None,
            follows_log: true,
            offer: None,
        }
    }

    /// Whether it ends the waiting.
    pub(super) fn is_something(&self) -> bool {
        self.verification.is_some() || !self.taken.is_empty() || self.is_ready
    }
}

/// The verification event that a stream's receiver has yet to acknowledge.
pub(super) fn verification(stream: &Stream) -> Option<EventId> {
    stream.verification.as_ref().map(Verification::event_id)
}

impl Polls {
    /// Makes sure that what is known is of the stream as it is, and of what other nodes were told. To be called in turn.
    pub(super) async fn open_anew(&self, desk: &Desk, stream: &Stream) -> Result<()> {
        if self.open(desk, stream).await? { Ok(()) } else { self.refresh(desk, stream).await }
    }

    /// What other nodes were told is resolved is resolved here as well. It takes a look into the database, where there are other nodes:
    /// a request may cost one, but none of those who wait may for each event of others.
    async fn refresh(&self, desk: &Desk, stream: &Stream) -> Result<()> {
        if self.ledger.is_shared() {
            let kept = self.ledger.resolved(&stream.id, stream.epoch).await.map_err(|error| error.answer())?;
            desk.with(stream.epoch, |state| state.refresh(&kept.unwrap_or_default()));
        }
        Ok(())
    }

    /// Makes sure that what is known is of the stream as it is. To be called in turn. Says whether what is kept was read for it.
    async fn open(&self, desk: &Desk, stream: &Stream) -> Result<bool> {
        if desk.is_of(stream) {
            return Ok(false);
        }
        // With another choice of events, what is resolved stays so; in another life it counts anew.
        let known = desk.with(stream.epoch, |state| (state.window.resolved().clone(), state.moved));
        let is_read = known.is_none();
        let (resolved, moved) = if let Some(known) = known {
            known
        } else {
            // In this order: what is kept in between is in the second.
            let unkept = self.persister.unkept(&stream.id, stream.epoch);
            let kept = self.ledger.resolved(&stream.id, stream.epoch).await.map_err(|error| error.answer())?;
            let mut places = kept.unwrap_or_else(|| PlaceSet::through(stream.start()));
            places.merge(&unkept);
            (places, false)
        };
        let tag = self.renderer.tag(stream).await?;
        let poked = self.streams.poked(&stream.id);
        let mut state = State::new(stream, resolved, tag, poked);
        state.moved = moved;
        *desk.state() = Some(state);
        Ok(is_read)
    }

    /// Takes what may go, at most `limit`. A poll that looks for the first time sees everything that was committed before it.
    pub(super) async fn select(&self, desk: &Arc<Desk>, stream: &Arc<Stream>, limit: usize, is_first: bool) -> Result<Selection> {
        if stream.status != Status::Enabled {
            return Ok(Selection { follows_log: false, ..Selection::nothing(stream) });
        }
        let turn = desk.turn.lock().await;
        if is_first {
            self.open_anew(desk, stream).await?;
        } else {
            self.open(desk, stream).await?;
        }
        desk.with(stream.epoch, |state| state.expire(Instant::now()));
        self.read_letters(desk, stream).await?;
        let holds_others = stream.verification.as_ref().is_some_and(|verification| verification.holds_others);
        let mut is_read = holds_others;
        if !holds_others {
            let known = desk.with(stream.epoch, |state| state.window.len()).unwrap_or(0);
            is_read = self.fill(desk, stream, is_first).await?;
            if !is_first && desk.with(stream.epoch, |state| state.needs_news(known)).unwrap_or(false) {
                self.refresh(desk, stream).await?;
                // What others were given has made room.
                is_read = self.fill(desk, stream, false).await?;
            }
        }
        let lease = desk.lease(Instant::now() + self.lease);
        let verification = verification(stream);
        let selected = desk.with(stream.epoch, |state| {
            let due = verification.filter(|event| state.may_verify(*event));
            let given = due.filter(|_| limit > 0);
            let room = if holds_others { 0 } else { limit - usize::from(given.is_some()) };
            let taken = if limit == 0 { Vec::new() } else { state.give(given, room, lease) };
            let unresolved = state.window.len() + usize::from(verification.is_some());
            Selection {
                tag: Some(state.tag.clone()),
                verification: given,
                is_ready: limit == 0 && (due.is_some() || !holds_others && state.window.is_ready()),
                more: unresolved > taken.len() + usize::from(given.is_some()),
                next_expiry: state
                    .next_expiry()
                    .into_iter()
                    .chain(state.next_refresh().filter(|_| self.ledger.is_shared() && !holds_others))
                    .min(),
                // What gives nothing has nothing to give back, and wakes nobody.
                offer: (given.is_some() || !taken.is_empty()).then(|| Offer::of(desk, lease)),
                taken,
                ..Selection::nothing(stream)
            }
        });
        let mut selected = selected.unwrap_or_else(|| Selection::nothing(stream));
        if !is_read && !selected.more {
            selected.more = self.is_more_behind(desk, stream).await?;
        }
        drop(turn);
        Ok(selected)
    }

    /// Reads the log into the window as far as there is room. Says whether that was all of it.
    async fn fill(&self, desk: &Desk, stream: &Stream, is_first: bool) -> Result<bool> {
        let failed = |error: StoreError| error.answer();
        let mut reads_now = is_first;
        loop {
            let Some((after, room)) = desk.with(stream.epoch, |state| (state.window.scanned(), state.window.room())) else {
                return Ok(true);
            };
            if room == 0 {
                return Ok(false);
            }
            let read = if reads_now { self.tail.read_now(after, room).await } else { self.tail.read(after, room).await };
            let part = read.map_err(failed)?;
            reads_now = false;
            // What is passed over stays so: it is judged by what the stream wants now, or not at all.
            if self.streams.get(&stream.id).is_none_or(|now| !desk.is_of(&now)) {
                return Ok(false);
            }
            if part.floor > after {
                // What was removed may have been passed over before, as none of the stream's.
                let kept = self.ledger.resolved(&stream.id, stream.epoch).await.map_err(failed)?.unwrap_or_default();
                desk.with(stream.epoch, |state| state.window.merge(&kept));
            }
            let lost = desk.with(stream.epoch, |state| {
                let lost = state.window.lost(part.floor);
                if lost == 0 {
                    let before = (state.window.resolved().cursor(), state.window.resolved().ranges());
                    state.window.offer(&part.events, part.through, |event| self.renderer.wants(stream, event));
                    state.moved |= before != (state.window.resolved().cursor(), state.window.resolved().ranges());
                }
                lost
            });
            if let Some(places @ 1..) = lost {
                let gap = Gap { places, at: self.clock.now().0 };
                self.streams.disable_for_gap(&stream.id, stream.epoch, gap).await?;
                return Err(self.lost(stream).await?);
            }
            let is_at_end = desk.with(stream.epoch, |state| state.window.scanned() >= part.through).unwrap_or(true);
            if !part.more && is_at_end {
                return Ok(true);
            }
        }
    }

    /// Whether the stream has an event behind what its window could take.
    async fn is_more_behind(&self, desk: &Desk, stream: &Stream) -> Result<bool> {
        let Some(mut after) = desk.with(stream.epoch, |state| state.window.scanned()) else { return Ok(false) };
        loop {
            let part = self.tail.read(after, limits::WINDOW_EVENTS).await.map_err(|error| error.answer())?;
            let is_own = |place: Place| desk.with(stream.epoch, |state| !state.window.resolved().contains(place)).unwrap_or(false);
            if part.events.iter().any(|logged| self.renderer.wants(stream, &logged.event) && is_own(logged.place)) {
                return Ok(true);
            }
            if !part.more {
                return Ok(false);
            }
            after = part.through;
        }
    }

    /// Puts dead letters that are to be delivered once more into the window, as far as there is room.
    async fn read_letters(&self, desk: &Desk, stream: &Stream) -> Result<()> {
        let failed = |error: StoreError| error.answer();
        loop {
            let after = desk.with(stream.epoch, State::letters_wanted).flatten();
            let Some(after) = after else { return Ok(()) };
            let read = self.ledger.dead_letters(&stream.id, after, limits::POLL_LETTERS, true).await.map_err(failed)?;
            let is_last = read.letters.len() < limits::POLL_LETTERS;
            for letter in &read.letters {
                let before = Place(letter.place.0.saturating_sub(1));
                let found = self.ledger.read(stream.tenant(), before, 1).await.map_err(failed)?;
                let Some(logged) = found.events.into_iter().find(|logged| logged.event.id == letter.event) else {
                    self.give_up(stream, letter).await?;
                    continue;
                };
                let is_full = desk.with(stream.epoch, |state| {
                    state.replay(Arc::new(logged));
                    state.letters_read(Some(letter.place));
                    state.window.room() == 0
                });
                if is_full != Some(false) {
                    return Ok(());
                }
            }
            let last = read.letters.last().filter(|_| !is_last).map(|letter| letter.place);
            desk.with(stream.epoch, |state| state.letters_read(last));
        }
    }

    /// A dead letter whose event the log no longer holds cannot be delivered any more: it stays one, if nobody has discarded it.
    async fn give_up(&self, stream: &Stream, letter: &DeadLetter) -> Result<()> {
        let description = Some("The log no longer holds the event.".to_owned());
        let changed = vec![DeadLetter { retry: false, at: self.clock.now(), description, ..letter.clone() }];
        let places = PlaceSet::through(stream.start());
        let resolution = Resolution { changed, ..Resolution::of(stream.id.clone(), stream.epoch, places) };
        self.ledger.resolve(vec![resolution]).await.map(drop).map_err(|error| error.answer())
    }

    /// Renders and signs what was taken.
    pub(super) async fn answer(self: &Arc<Self>, desk: &Arc<Desk>, mut found: Selection) -> Result<PollAnswer> {
        let offer = found.offer.take().unwrap_or_else(|| Offer::of_nothing(desk));
        let mut answer = PollAnswer { sets: Vec::new(), more_available: found.more, offer };
        if found.verification.is_some() || !found.taken.is_empty() {
            self.renderer.ready(&found.stream).await?;
        }
        if found.verification.is_some() {
            answer.sets.extend(self.renderer.verification(&found.stream).await?);
        }
        let Some(tag) = found.tag.filter(|_| !found.taken.is_empty()) else { return Ok(answer) };
        let mut pieces = Vec::new();
        let together = limits::POLL_RENDERED_TOGETHER;
        for taken in found.taken.chunks(together).map(<[Taken]>::to_vec) {
            let (polls, stream, tag) = (Arc::clone(self), Arc::clone(&found.stream), tag.clone());
            let render = move || taken.iter().map(|taken| polls.render(&stream, &tag, taken)).collect::<Result<Vec<_>>>();
            // Signing is work: what comes to some milliseconds of it is shared among the cores.
            pieces.push(if found.taken.len() <= together {
                Piece::Done(render())
            } else {
                Piece::Task(tokio::spawn(async move { render() }))
            });
        }
        for piece in pieces {
            let rendered = match piece {
                Piece::Done(rendered) => rendered,
                Piece::Task(task) => task.await.map_err(|_| Error::new(ErrorKind::Internal, "The server failed."))?,
            };
            answer.sets.extend(rendered?.into_iter().flatten());
        }
        #[expect(clippy::cast_precision_loss, reason = "at most some hundreds")]
        metrics::histogram!("carillon_poll_batch_events").record(answer.sets.len() as f64);
        Ok(answer)
    }

    /// One SET and its `jti`. What cannot be told, because nobody knows the type of its subject, is nobody's event.
    fn render(&self, stream: &Stream, tag: &Tag, taken: &Taken) -> Result<Option<(String, String)>> {
        let Taken { logged, attempts, is_replay } = taken;
        let Some(claims) = self.renderer.claims(stream, tag, &logged.event) else {
            let desk = self.desk(&stream.id);
            desk.with(stream.epoch, |state| {
                state.resolve(logged.place);
                state.moved = true;
            });
            return Ok(None);
        };
        let set = self.renderer.encode(stream, &claims)?;
        let jti = tag.jti(logged.event.id);
        metrics::counter!("carillon_delivery_attempts_total", "method" => "poll", "class" => "handed_over").increment(1);
        if *attempts > 1 || *is_replay {
            metrics::counter!("carillon_redeliveries_total").increment(1);
        }
        tracing::debug!(
            target: "carillon::delivery",
            stream = %stream.id, place = logged.place.0, jti, txn = logged.event.txn, class = "handed_over", attempt = attempts,
            replay = is_replay, "a SET is polled"
        );
        Ok(Some((jti, set)))
    }
}

/// SETs with their `jti`s, without those that cannot be told.
type Rendered = Result<Vec<Option<(String, String)>>>;

/// A part of what is rendered.
enum Piece {
    Done(Rendered),
    Task(tokio::task::JoinHandle<Rendered>),
}
