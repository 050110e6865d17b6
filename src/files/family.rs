//! The virtual roots: `/config/user`, `/config/group` and `/process` as directories of YAML files.

use bytes::Bytes;
use kompira_schema::error::Fault;
use kompira_schema::id::{GroupId, ObjectId, ProcessId, UserId};
use kompira_schema::layout::yaml::{Node, emit};
use kompira_schema::tree::{Attr, NodeKind, OpenHow, Opened};

use super::ask::{Ask, missing, never};
use super::find::{Family, Found};
use super::handles::Open;
use super::list::Line;
use super::place::Place;

/// Special objects are called by their number.
const PREFIX: &str = "id_";

impl Ask<'_> {
    /// Users and groups are found by name too.
    pub(super) fn find_special(
        &self,
        _dir: ObjectId,
        family: Family,
        file: &str,
    ) -> Result<Option<Found>, Fault> {
        let number = file.strip_prefix(PREFIX).and_then(|digits| digits.parse::<u64>().ok());
        let place = match family {
            Family::User => {
                let user = match number {
                    Some(number) => self.view.user(UserId(number)),
                    None => self.view.user_by_name(file),
                };
                user.map(|user| Place::User(user.id))
            }
            Family::Group => {
                let group = match number {
                    Some(number) => self.view.group(GroupId(number)),
                    None => self.view.group_by_name(file),
                };
                group.map(|group| Place::Group(group.id))
            }
            Family::Process => number
                .map(ProcessId)
                .filter(|process| self.process_text(*process).is_ok())
                .map(Place::Process),
            Family::Other => None,
        };
        Ok(place.map(Found::Place))
    }

    pub(super) fn special_lines(&self, _dir: ObjectId, family: Family) -> Result<Vec<Line>, Fault> {
        let line =
            |number: u64, place| Line::new(format!("{PREFIX}{number}"), place, NodeKind::File);
        Ok(match family {
            Family::User => {
                self.view.users().iter().map(|u| line(u.id.0, Place::User(u.id))).collect()
            }
            Family::Group => {
                self.view.groups().iter().map(|g| line(g.id.0, Place::Group(g.id))).collect()
            }
            Family::Process => match &self.files.options.processes {
                Some(all) => {
                    let list = all.list(self.who);
                    list.into_iter().map(|id| line(id.0, Place::Process(id))).collect()
                }
                None => Vec::new(),
            },
            Family::Other => Vec::new(),
        })
    }

    fn process_text(&self, process: ProcessId) -> Result<String, Fault> {
        match &self.files.options.processes {
            Some(all) => all.status(self.who, process),
            None => Err(missing("process")),
        }
    }

    fn special_text(&self, place: Place) -> Result<Bytes, Fault> {
        let text = |text: &str| Node::Str(text.to_owned());
        let map = match place {
            Place::User(id) => {
                let user = self.view.user(id).ok_or_else(|| missing("user"))?;
                let groups =
                    user.groups.iter().map(|group| text(&self.view.group_name(*group))).collect();
                Node::Map(
                    [
                        ("username", text(&user.username)),
                        ("first_name", text(&user.first_name)),
                        ("last_name", text(&user.last_name)),
                        ("email", text(&user.email)),
                        ("is_active", Node::Bool(user.active)),
                        ("groups", Node::Seq(groups)),
                    ]
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
                )
            }
            Place::Group(id) => {
                let group = self.view.group(id).ok_or_else(|| missing("group"))?;
                let members =
                    self.view.members(id).iter().map(|user| text(&user.username)).collect();
                Node::Map(
                    [("name", text(&group.name)), ("members", Node::Seq(members))]
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }
            Place::Process(id) => return Ok(Bytes::from(self.process_text(id)?)),
            Place::Object(_) | Place::Record(_) | Place::Companion(_) | Place::Node(_) => {
                return Err(missing("?"));
            }
        };
        Ok(Bytes::from(emit(&map)))
    }

    pub(super) fn attr_special(&self, place: Place) -> Result<Attr, Fault> {
        let size = self.special_text(place)?.len() as u64;
        Ok(self.attr_text(place, size, 0o444))
    }

    pub(super) fn open_special(&self, place: Place, how: OpenHow) -> Result<Opened, Fault> {
        if how.write {
            return Err(never());
        }
        let handle = self.files.handles.add(Open::Text(self.special_text(place)?))?;
        Ok(Opened { handle, keep_cache: false, direct: true })
    }
}
