//! Renaming, in all the ways in which editors save (rule: `files/rename`).

mod object;
mod over;
mod record;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::path::Name;
use kompira_schema::tree::{Ino, NodeKind, RenameMode};

use super::ask::{Ask, across, exists, invalid, missing, never, read_only};
use super::find::{Dir, Form, Found, Meaning};
use super::place::Place;
use crate::tree::{Entry, EntryKind};

/// Where a rename leads.
enum Target {
    /// A scratch name in this directory.
    Plain(ObjectId),
    Object {
        dir: ObjectId,
        name: Name,
        suffix: Option<String>,
    },
    Record {
        dir: ObjectId,
        name: Name,
    },
    Companion,
}

/// Two names in directories of the tree.
struct Move<'m> {
    from_dir: ObjectId,
    from_file: &'m str,
    to_file: &'m str,
    /// The directory of the new name, as the kernel knows it.
    to_ino: Ino,
}

impl Ask<'_> {
    pub(super) fn rename(
        &mut self,
        from: (Ino, &str),
        to: (Ino, &str),
        mode: RenameMode,
    ) -> Result<(), Fault> {
        let (from_dir, to_dir) = (self.dir(from.0)?, self.dir(to.0)?);
        self.may_search(&from_dir)?;
        self.may_search(&to_dir)?;
        if from_dir == to_dir && from.1 == to.1 {
            return match self.find(&from_dir, from.1)? {
                Some(_) => Ok(()),
                None => Err(missing(from.1)),
            };
        }
        self.settle(&from_dir, from.1)?;
        let source = self.find(&from_dir, from.1)?.ok_or_else(|| missing(from.1))?;
        let target = self.target(&to_dir, to.1, to.0)?;
        let there = self.find(&to_dir, to.1)?;
        match mode {
            RenameMode::NoReplace if !matches!(there, None | Some(Found::Ghost(_))) => {
                return Err(exists(to.1));
            }
            RenameMode::Exchange => return self.exchange(&source, there.as_ref()),
            RenameMode::NoReplace | RenameMode::Replace => {}
        }
        let (Some(target), Some(from_id)) = (target, dir_id(&from_dir)) else {
            return self.rename_below((&from_dir, from.1), (&to_dir, to.1), &source);
        };
        let step = Move { from_dir: from_id, from_file: from.1, to_file: to.1, to_ino: to.0 };
        // A new file that is not saved yet is replaced: it never was.
        let there = match there {
            Some(Found::New(draft)) => match self.drop_new(&draft) {
                None => None,
                Some(_) => {
                    self.renew();
                    self.find(&to_dir, to.1)?
                }
            },
            other => other,
        };
        match source {
            Found::Ghost(_) => {
                // `mv a b` has moved the record too: `mv .a .b` is already done.
                self.files.ghosts.remove(from_id, from.1);
                Ok(())
            }
            Found::Entry(entry) if entry.kind == EntryKind::Scratch => {
                self.rename_scratch(&entry, target, there, &step)
            }
            Found::Entry(entry) if entry.container => self.rename_container(&entry, target, there),
            Found::Entry(entry) => self.rename_object(&entry, target, there, &step),
            Found::Record(entry) => self.rename_record(&entry, target, there, &step),
            Found::Companion(_) => Err(across()),
            Found::Place(Place::Node(_)) => Err(across()),
            Found::Place(_) => Err(never()),
            Found::New(_) => Err(Fault::internal("a saved file is new")),
        }
    }

    /// Saves what is unsaved under a name, so that a rename moves what was written.
    fn settle(&mut self, dir: &Dir, file: &str) -> Result<(), Fault> {
        let draft = match self.find(dir, file)? {
            Some(Found::New(draft)) => Some(draft),
            Some(Found::Entry(entry)) => self.files.drafts.of(Place::Object(entry.id).ino()),
            Some(Found::Record(entry)) => self.files.drafts.of(Place::Record(entry.id).ino()),
            _ => None,
        };
        if let Some(draft) = draft {
            self.save(&draft, true)?;
            self.renew();
        }
        Ok(())
    }

    /// What the new name means; `None` below companion and control directories.
    fn target(&self, dir: &Dir, file: &str, ino: Ino) -> Result<Option<Target>, Fault> {
        Ok(Some(match dir {
            Dir::Scratch(id) => Target::Plain(*id),
            Dir::Objects(id) => match self.meaning(*id, file) {
                Ok(Meaning::Scratch) => Target::Plain(*id),
                Ok(Meaning::Object { name, suffix }) => Target::Object { dir: *id, name, suffix },
                Ok(Meaning::Record(name)) => Target::Record { dir: *id, name },
                Ok(Meaning::Companion(name)) => match self.object_child(*id, &name)? {
                    None => Target::Plain(*id),
                    Some(_) => Target::Companion,
                },
                Err(fault) => {
                    self.files.note(ino, &fault);
                    return Err(fault);
                }
            },
            Dir::Family(..) => return Err(never()),
            Dir::Companion(_) | Dir::Node(..) => return Ok(None),
        }))
    }

    fn rename_scratch(
        &mut self,
        entry: &Entry,
        target: Target,
        there: Option<Found>,
        step: &Move<'_>,
    ) -> Result<(), Fault> {
        match target {
            Target::Plain(dir) => {
                let id = entry.id;
                self.commit_with(|txn| txn.scratch_rename(id, dir, step.to_file))?;
                Ok(())
            }
            Target::Record { dir, name } => {
                if entry.node != NodeKind::File {
                    return Err(across());
                }
                match self.object_child(dir, &name)? {
                    Some(object) if self.form(&object, None)? != Form::Yaml => {
                        self.record_from(entry, &object, step)
                    }
                    _ => {
                        let id = entry.id;
                        self.commit_with(|txn| txn.scratch_rename(id, dir, step.to_file))?;
                        Ok(())
                    }
                }
            }
            Target::Companion => Err(across()),
            Target::Object { dir, name, suffix } => {
                if entry.node != NodeKind::File {
                    return Err(across());
                }
                match there {
                    Some(Found::Entry(over)) => self.replace(entry, &over, step),
                    _ => self.object_from(entry, dir, &name, suffix.as_deref(), step),
                }
            }
        }
    }

    fn exchange(&mut self, source: &Found, there: Option<&Found>) -> Result<(), Fault> {
        let Some(there) = there else { return Err(missing("?")) };
        let (Found::Entry(a), Found::Entry(b)) = (source, there) else { return Err(invalid()) };
        let scratch = |entry: &Entry| entry.kind == EntryKind::Scratch;
        if scratch(a) != scratch(b) {
            return Err(Fault::new(Kind::Invalid, message!("files.no_exchange")));
        }
        let (a, b) = (a.id, b.id);
        self.commit_with(|txn| txn.exchange(a, b))?;
        Ok(())
    }

    fn rename_below(
        &mut self,
        from: (&Dir, &str),
        to: (&Dir, &str),
        source: &Found,
    ) -> Result<(), Fault> {
        match (source, from.0, to.0) {
            (Found::Place(Place::Node(number)), _, Dir::Node(_, node)) => {
                self.rename_attachment(*number, node, to.1)
            }
            (_, Dir::Node(..) | Dir::Companion(_), _) | (_, _, Dir::Companion(_)) => Err(across()),
            (_, _, Dir::Node(_, super::node::Node::Control(_))) => Err(read_only()),
            _ => Err(across()),
        }
    }
}

fn dir_id(dir: &Dir) -> Option<ObjectId> {
    match dir {
        Dir::Objects(id) | Dir::Scratch(id) => Some(*id),
        Dir::Family(..) | Dir::Companion(_) | Dir::Node(..) => None,
    }
}
