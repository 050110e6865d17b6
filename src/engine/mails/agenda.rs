//! The channels, and when each is looked at next.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kompira_schema::catalogue::Lang;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::value::Ref;

use super::round::{Ending, Round};
use super::settings::Settings;
use super::{RETRY, ROUNDS_MAX};
use crate::engine::inner::{Inner, myself};
use crate::engine::vm::request::Source;
use crate::tree::MailName;

/// A receiver that begins to wait where nobody did lets the mailbox be looked at, but not sooner
/// than this after the last look. Reason: a loop of short waits must not become one of logins.
const AGAIN: Duration = Duration::from_secs(10);

/// A channel that is switched on.
struct Entry {
    rev: Rev,
    mark: blake3::Hash,
    /// Why they cannot be used, else.
    settings: Result<Arc<Settings>, String>,
    /// When it is looked at, if anybody wants its mails.
    next: Duration,
    /// When the last look ended.
    last: Option<Duration>,
    /// Why the last look failed.
    failed: Option<String>,
    /// Mails that stay where they are, as far as the log says so already.
    left: HashSet<MailName>,
    /// Its record could not be read.
    again: bool,
    /// Somebody waited for it at the last pass.
    waited: bool,
}

/// All mail channels.
#[derive(Default)]
pub(super) struct Agenda {
    looked: bool,
    /// The channels that are switched off, and when that was seen.
    off: HashMap<ObjectId, Rev>,
    entries: HashMap<ObjectId, Entry>,
    /// Looks under way, also at channels that were switched off meanwhile: none is looked at by two.
    running: HashSet<ObjectId>,
}

impl Agenda {
    pub(super) fn is_new(&self) -> bool {
        !self.looked
    }

    pub(super) fn known(&self) -> HashSet<ObjectId> {
        self.entries.keys().copied().collect()
    }

    /// Looks through the channels; those whose settings changed are due.
    pub(super) fn look(&mut self, inner: &Inner, now: Duration) -> Result<(), Fault> {
        let view = inner.tree.view();
        let channels = view.mail_channels()?;
        let there: HashSet<ObjectId> = channels.iter().map(|(id, _)| *id).collect();
        self.off.retain(|id, _| there.contains(id));
        self.entries.retain(|id, _| there.contains(id));
        for (id, rev) in channels {
            let entry = self.entries.get_mut(&id);
            let again = entry.is_some_and(|entry| std::mem::take(&mut entry.again));
            let seen = self.entries.get(&id).map(|entry| entry.rev);
            if !again && seen.or_else(|| self.off.get(&id).copied()) == Some(rev) {
                continue;
            }
            let object = match view.get(&myself(), id) {
                Ok(object) => object,
                Err(fault) if fault.kind() == Kind::NotFound => continue,
                Err(fault) => {
                    self.unreadable(inner, id, rev, &fault, now);
                    continue;
                }
            };
            let settings = Settings::read(&view, &object);
            if settings.as_ref().is_ok_and(|settings| settings.disabled) {
                self.entries.remove(&id);
                self.off.insert(id, rev);
                inner.mails.failures.clear(id);
                continue;
            }
            self.off.remove(&id);
            self.put(inner, id, rev, settings, now);
        }
        self.looked = true;
        Ok(())
    }

    /// One channel that cannot be read keeps no other from being looked at. It is read again as
    /// often as the channels are looked through.
    fn unreadable(&mut self, inner: &Inner, id: ObjectId, rev: Rev, fault: &Fault, now: Duration) {
        let why = fault.text(Lang::En);
        let known = self.entries.get(&id).and_then(|entry| entry.settings.as_ref().err());
        if known != Some(&why) {
            tracing::error!(channel = id.0, ?fault, "a mail channel cannot be read");
        }
        self.off.remove(&id);
        self.put(inner, id, rev, Err(why), now);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.again = true;
        }
    }

    fn put(
        &mut self,
        inner: &Inner,
        id: ObjectId,
        rev: Rev,
        settings: Result<Settings, String>,
        now: Duration,
    ) {
        let mark = match &settings {
            Ok(settings) => settings.mark(),
            Err(why) => blake3::hash(why.as_bytes()),
        };
        let settings = settings.map(Arc::new);
        match self.entries.get_mut(&id) {
            Some(entry) if entry.mark == mark => entry.rev = rev,
            Some(entry) => {
                (entry.rev, entry.mark, entry.settings, entry.next) = (rev, mark, settings, now);
                entry.left.clear();
                inner.mails.failures.clear(id);
            }
            None => {
                let entry = Entry {
                    rev,
                    mark,
                    settings,
                    next: now,
                    last: None,
                    failed: None,
                    left: HashSet::new(),
                    again: false,
                    waited: false,
                };
                self.entries.insert(id, entry);
            }
        }
    }

    /// Somebody began to wait.
    pub(super) fn awaited(&mut self, inner: &Inner, id: ObjectId) {
        let waiting = inner.tree.view().waiting_for(id);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let acts = entry.settings.as_ref().is_ok_and(|settings| settings.acts);
        // Two may have begun before this was told.
        let others = waiting > 1 && entry.waited;
        if acts || others || entry.failed.is_some() {
            return;
        }
        let soon = entry.last.map_or(Duration::ZERO, |last| last.saturating_add(AGAIN));
        entry.next = entry.next.min(soon);
    }

    /// A look has ended.
    pub(super) fn ended(&mut self, inner: &Inner, id: ObjectId, ending: Ending, now: Duration) {
        self.running.remove(&id);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.last = Some(now);
        entry.left.extend(ending.left);
        let interval = entry.settings.as_ref().map_or(RETRY, |settings| settings.interval);
        match &ending.failed {
            // The settings have changed since: it is due already.
            _ if ending.mark != entry.mark => {}
            Some(why) => {
                entry.next = now.saturating_add(interval);
                inner.mails.failures.set(id, why.clone(), entry.next);
                inner.wake_all(Source::Reference(Ref::Object(id)));
            }
            None if ending.taken > 0 => entry.next = now,
            None => entry.next = now.saturating_add(interval),
        }
        if ending.failed.is_none() {
            inner.mails.failures.clear(id);
        }
        if ending.failed != entry.failed {
            match &ending.failed {
                Some(why) => tracing::warn!(channel = id.0, why, "mails cannot be fetched"),
                None => tracing::info!(channel = id.0, "mails can be fetched again"),
            }
        }
        entry.failed = ending.failed;
    }

    /// Begins what is due; answers when something is due next.
    pub(super) fn begin(
        &mut self,
        inner: &Inner,
        now: Duration,
        mut start: impl FnMut(ObjectId, Round) -> std::io::Result<()>,
    ) -> Option<Duration> {
        let running = &mut self.running;
        let view = inner.tree.view();
        let mut next: Option<Duration> = None;
        for (id, entry) in &mut self.entries {
            entry.waited = view.waiting_for(*id) > 0;
        }
        // Who waits longest is first when there is no room for all.
        let mut due: Vec<_> =
            self.entries.iter_mut().filter(|(id, _)| !running.contains(id)).collect();
        due.sort_by_key(|(id, entry)| (entry.next, **id));
        for (&id, entry) in due {
            let acts = entry.settings.as_ref().is_ok_and(|settings| settings.acts);
            if !acts && !entry.waited {
                continue;
            }
            if entry.next > now {
                next = Some(next.map_or(entry.next, |next| next.min(entry.next)));
                continue;
            }
            if running.len() >= ROUNDS_MAX {
                // The end of one wakes us.
                continue;
            }
            let round = Round {
                channel: id,
                rev: entry.rev,
                mark: entry.mark,
                settings: entry.settings.clone(),
                failed: entry.failed.clone(),
                left: entry.left.clone(),
            };
            match start(id, round) {
                Ok(()) => {
                    running.insert(id);
                }
                Err(error) => {
                    tracing::error!(%error, "mails cannot be fetched");
                    entry.next = now.saturating_add(RETRY);
                    next = Some(next.map_or(entry.next, |next| next.min(entry.next)));
                }
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::World;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Begins what is due: the looks, and when the next is.
    fn begin(agenda: &mut Agenda, inner: &Inner, now: Duration) -> (Vec<Round>, Option<Duration>) {
        let mut rounds = Vec::new();
        let next = agenda.begin(inner, now, |_, round| {
            rounds.push(round);
            Ok(())
        });
        (rounds, next)
    }

    fn ending(round: &Round, taken: usize, failed: Option<&str>) -> Ending {
        Ending { taken, failed: failed.map(str::to_owned), left: Vec::new(), mark: round.mark }
    }

    // rule: operations/mail-channels
    #[test]
    fn a_look_follows_mails_at_once_and_else_after_the_interval() {
        for (minutes, wait) in [(None, 10), (Some(0), 10), (Some(3), 3)] {
            let world = World::new();
            let mut fields =
                vec![("disabled", false.into()), ("action_type", "ExecuteJobflow".into())];
            fields.extend(minutes.map(|minutes| ("checkInterval", minutes.into())));
            let id = world.object("/root", "box", "MailChannel", &fields);
            let inner = &world.engine().inner;
            let mut agenda = Agenda::default();
            agenda.look(inner, MINUTE).unwrap();
            let (rounds, next) = begin(&mut agenda, inner, MINUTE);
            assert_eq!((rounds.len(), next), (1, None));
            assert!(begin(&mut agenda, inner, MINUTE).0.is_empty(), "one at a time");
            agenda.ended(inner, id, ending(&rounds[0], 1, None), MINUTE);
            let (rounds, _) = begin(&mut agenda, inner, MINUTE);
            assert_eq!(rounds.len(), 1, "there may be more");
            for failed in [None, Some("no")] {
                agenda.ended(inner, id, ending(&rounds[0], 0, failed), MINUTE);
                let (rounds, next) = begin(&mut agenda, inner, MINUTE);
                assert_eq!((rounds.len(), next), (0, Some(MINUTE * (1 + wait))));
            }
            assert_eq!(inner.mails.failure(id, MINUTE * wait), Some("no".to_owned()));
            assert_eq!(inner.mails.failure(id, MINUTE * (1 + wait)), None, "it is tried again");
            // Another setting is tried at once, also while the old one is being looked at.
            world.object("/root", "box", "MailChannel", &[("username", "tom".into())]);
            agenda.look(inner, 2 * MINUTE).unwrap();
            let (rounds, _) = begin(&mut agenda, inner, 2 * MINUTE);
            assert_eq!(rounds.len(), 1);
            world.object("/root", "box", "MailChannel", &[("username", "tim".into())]);
            agenda.look(inner, 3 * MINUTE).unwrap();
            agenda.ended(inner, id, ending(&rounds[0], 0, Some("old")), 3 * MINUTE);
            assert_eq!(inner.mails.failure(id, 3 * MINUTE), None);
            assert_eq!(begin(&mut agenda, inner, 3 * MINUTE).0.len(), 1);
            // Switched off and on again while it is looked at: not by two.
            for disabled in [true, false] {
                world.object("/root", "box", "MailChannel", &[("disabled", disabled.into())]);
                agenda.look(inner, 4 * MINUTE).unwrap();
                assert!(begin(&mut agenda, inner, 4 * MINUTE).0.is_empty());
            }
        }
    }

    // rule: operations/mail-channels
    #[test]
    fn who_begins_to_wait_need_not_wait_for_the_interval() {
        let world = World::new();
        world.tree().know_receivers_by(world.engine().receivers());
        let id = world.object("/root", "box", "MailChannel", &[("disabled", false.into())]);
        let inner = &world.engine().inner;
        let mut agenda = Agenda::default();
        agenda.look(inner, MINUTE).unwrap();
        assert_eq!(begin(&mut agenda, inner, MINUTE).0.len(), 0, "nobody wants its mails");
        let process = world.start(world.jobflow("waits", "<./box>"));
        world.waits(process);
        agenda.awaited(inner, id);
        let (rounds, _) = begin(&mut agenda, inner, MINUTE);
        assert_eq!(rounds.len(), 1);
        agenda.ended(inner, id, ending(&rounds[0], 0, None), MINUTE);
        agenda.awaited(inner, id);
        assert_eq!(begin(&mut agenda, inner, MINUTE).1, Some(MINUTE + AGAIN));
    }

    // rule: operations/mail-channels
    #[test]
    fn two_who_begin_to_wait_together_need_not_wait_either() {
        let world = World::new();
        world.tree().know_receivers_by(world.engine().receivers());
        let id = world.object("/root", "box", "MailChannel", &[("disabled", false.into())]);
        let inner = &world.engine().inner;
        let mut agenda = Agenda::default();
        agenda.look(inner, MINUTE).unwrap();
        // The last look was a moment ago, and nobody waits.
        let later = MINUTE + 60 * MINUTE;
        let entry = agenda.entries.get_mut(&id).unwrap();
        (entry.last, entry.next) = (Some(MINUTE), later);
        assert_eq!(begin(&mut agenda, inner, MINUTE).1, None);
        for name in ["one", "other"] {
            let process = world.start(world.jobflow(name, "<./box>"));
            world.waits(process);
        }
        agenda.awaited(inner, id);
        assert_eq!(begin(&mut agenda, inner, MINUTE).1, Some(MINUTE + AGAIN));
        // A third does not begin where nobody did.
        agenda.entries.get_mut(&id).unwrap().next = later;
        agenda.awaited(inner, id);
        assert_eq!(begin(&mut agenda, inner, MINUTE).1, Some(later));
    }

    #[test]
    fn one_channel_that_cannot_be_read_is_tried_again_and_stops_no_other() {
        let world = World::new();
        let fields = [("disabled", false.into()), ("action_type", "ExecuteJobflow".into())];
        let id = world.object("/root", "box", "MailChannel", &fields);
        let inner = &world.engine().inner;
        let mut agenda = Agenda::default();
        let fault = Fault::internal("broken");
        let rev = inner.tree.view().head(id).unwrap().rev;
        agenda.unreadable(inner, id, rev, &fault, MINUTE);
        assert!(agenda.entries[&id].settings.is_err());
        agenda.look(inner, MINUTE).unwrap();
        assert!(agenda.entries[&id].settings.is_ok());
    }
}
