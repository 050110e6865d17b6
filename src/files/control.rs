//! The control directory `/.kompira` (rule: `files/control`).

use bytes::Bytes;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::layout::names::{REJECTED_ENDING, escape, unescape};
use kompira_schema::message;
use kompira_schema::tree::{Attr, Change, NodeKind, OpenHow, Opened};

use super::ask::{Ask, denied, is_dir, missing, read_only};
use super::draft::{Base, Draft, Goal};
use super::find::Found;
use super::handles::Open;
use super::list::Line;
use super::node::{Control, Node, ProcessFile};
use super::place::Place;
use crate::auth::Access;
use crate::tree::{Content, EntryKind};

/// Refused texts that the listing shows. Reason: the walk that finds them is bounded.
const REJECTED_MAX: usize = 1_000;
/// Directories that the walk looks into.
const REJECTED_DIRS_MAX: usize = 100_000;

impl Control {
    pub(super) fn is_dir(&self) -> bool {
        match self {
            Self::Root | Self::Rejected | Self::Processes | Self::Process(_) => true,
            Self::Version | Self::Status | Self::RejectedText(_) | Self::ProcessFile(..) => false,
        }
    }
}

impl ProcessFile {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Status, "status"),
        (Self::Console, "console"),
        (Self::Result, "result"),
        (Self::Ctl, "ctl"),
    ];
}

impl Ask<'_> {
    pub(super) fn find_control(&self, dir: &Control, file: &str) -> Result<Option<Found>, Fault> {
        let found = match dir {
            Control::Root => match file {
                "version" => Control::Version,
                "status.yaml" => Control::Status,
                "rejected" => Control::Rejected,
                "process" if self.files.options.processes.is_some() => Control::Processes,
                _ => return Ok(None),
            },
            Control::Rejected => {
                let path = format!("/{}", unescape(file));
                let found = self.rejected()?.into_iter().find(|(at, _)| *at == path);
                let Some((_, id)) = found else { return Ok(None) };
                Control::RejectedText(id)
            }
            Control::Processes => {
                let Some(process) = file.parse().ok().map(ProcessId) else { return Ok(None) };
                let processes = self.files.options.processes.as_ref();
                if processes.is_none_or(|all| all.status(self.who, process).is_err()) {
                    return Ok(None);
                }
                Control::Process(process)
            }
            Control::Process(process) => {
                let found = ProcessFile::ALL.iter().find(|(_, name)| *name == file);
                let Some((which, _)) = found else { return Ok(None) };
                Control::ProcessFile(*process, *which)
            }
            Control::Version
            | Control::Status
            | Control::RejectedText(_)
            | Control::ProcessFile(..) => return Ok(None),
        };
        Ok(Some(Found::Place(self.files.nodes.number(&Node::Control(found))?)))
    }

    pub(super) fn control_lines(&self, dir: &Control) -> Result<Vec<Line>, Fault> {
        let mut lines = Vec::new();
        let mut add = |name: &str, control: Control| -> Result<(), Fault> {
            let kind = if control.is_dir() { NodeKind::Dir } else { NodeKind::File };
            let place = self.files.nodes.number(&Node::Control(control))?;
            lines.push(Line::new(name.to_owned(), place, kind));
            Ok(())
        };
        match dir {
            Control::Root => {
                add("version", Control::Version)?;
                add("status.yaml", Control::Status)?;
                add("rejected", Control::Rejected)?;
                if self.files.options.processes.is_some() {
                    add("process", Control::Processes)?;
                }
            }
            Control::Rejected => {
                for (path, id) in self.rejected()? {
                    add(&escape(path.trim_start_matches('/')), Control::RejectedText(id))?;
                }
            }
            Control::Processes => {
                let processes = self.files.options.processes.as_ref();
                for process in processes.map(|all| all.list(self.who)).unwrap_or_default() {
                    add(&process.to_string(), Control::Process(process))?;
                }
            }
            Control::Process(process) => {
                for (which, name) in ProcessFile::ALL {
                    add(name, Control::ProcessFile(*process, which))?;
                }
            }
            Control::Version
            | Control::Status
            | Control::RejectedText(_)
            | Control::ProcessFile(..) => {}
        }
        Ok(lines)
    }

    pub(super) fn attr_control(&self, place: Place, control: &Control) -> Result<Attr, Fault> {
        if control.is_dir() {
            let access = Access { write: false, ..Access::ALL };
            return Ok(self.attr_dir(place, access, None));
        }
        let bits = match control {
            Control::ProcessFile(_, ProcessFile::Ctl) => 0o600,
            _ => 0o444,
        };
        let size = self.control_text(control)?.len() as u64;
        Ok(self.attr_text(place, size, bits))
    }

    fn control_text(&self, control: &Control) -> Result<Bytes, Fault> {
        let options = &self.files.options;
        Ok(match control {
            Control::Root | Control::Rejected | Control::Processes | Control::Process(_) => {
                return Err(is_dir());
            }
            Control::Version => Bytes::from(format!("{}\n", options.version)),
            Control::Status => self.status_text(),
            Control::RejectedText(id) => self.bytes(*id)?,
            Control::ProcessFile(process, which) => {
                let all = options.processes.as_ref().ok_or_else(|| missing("process"))?;
                match which {
                    ProcessFile::Status => Bytes::from(all.status(self.who, *process)?),
                    ProcessFile::Console => all.console(self.who, *process)?,
                    ProcessFile::Result => Bytes::from(all.result(self.who, *process)?),
                    ProcessFile::Ctl => Bytes::new(),
                }
            }
        })
    }

    fn status_text(&self) -> Bytes {
        let health = match self.files.tree.store().health() {
            Ok(()) => "ok".to_owned(),
            Err(fault) => super::record::reason(&fault),
        };
        Bytes::from(format!(
            "version: '{}'\nrevision: {}\nuser: {}\nstore: {health}\n",
            self.files.options.version,
            self.view.rev(),
            self.view.user_name(self.who.user),
        ))
    }

    /// The paths and nodes of all refused texts that the caller may see.
    fn rejected(&self) -> Result<Vec<(String, ObjectId)>, Fault> {
        const PAGE: usize = 512;
        let mut found = Vec::new();
        let mut dirs = vec![(ObjectId::ROOT, String::new())];
        let mut seen = 0;
        while let Some((dir, path)) = dirs.pop() {
            seen += 1;
            if seen > REJECTED_DIRS_MAX || found.len() > REJECTED_MAX {
                break;
            }
            if !self.access(dir)?.read {
                continue;
            }
            let mut after: Option<String> = None;
            loop {
                let page = self.view.entries(dir, after.as_deref(), PAGE)?;
                for entry in &page {
                    let path = format!("{path}/{}", entry.name);
                    if entry.kind == EntryKind::Scratch {
                        if entry.name.ends_with(REJECTED_ENDING) {
                            found.push((path, entry.id));
                        }
                    } else if entry.container {
                        dirs.push((entry.id, path));
                    }
                }
                match page.last() {
                    Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                    _ => break,
                }
            }
        }
        Ok(found)
    }

    pub(super) fn open_row(&self, number: u64, how: OpenHow) -> Result<Opened, Fault> {
        let place = Place::Node(number);
        match self.files.nodes.get(number).ok_or_else(|| missing("?"))? {
            Node::Field { .. } | Node::Element { .. } => Err(is_dir()),
            Node::Attachment { id, .. } => self.open_node(place, Goal::Attachment(number), id, how),
            Node::Control(Control::ProcessFile(_, ProcessFile::Ctl)) if how.write => {
                let base = Base { rev: self.view.rev(), content: Content::Inline(Bytes::new()) };
                let now = self.files.clock.now();
                let draft = self.files.drafts.join(place.ino(), || {
                    Ok(Draft::new(place.ino(), Goal::Control(number), Some(base), now))
                })?;
                self.open_joined(place, draft, OpenHow { truncate: false, append: false, ..how })
            }
            Node::Control(_) if how.write => Err(read_only()),
            Node::Control(control) => {
                let text = self.control_text(&control)?;
                let handle = self.files.handles.add(Open::Text(text))?;
                Ok(Opened { handle, keep_cache: false, direct: true })
            }
        }
    }

    /// Carries out a word written to a `ctl` file.
    pub(super) fn control(&self, number: u64, word: &str) -> Result<(), Fault> {
        let Some(Node::Control(Control::ProcessFile(process, ProcessFile::Ctl))) =
            self.files.nodes.get(number)
        else {
            return Err(read_only());
        };
        if word.is_empty() {
            return Ok(());
        }
        if word.len() > 32 {
            return Err(Fault::new(Kind::Invalid, message!("files.invalid")));
        }
        let all = self.files.options.processes.as_ref().ok_or_else(|| missing("process"))?;
        all.control(self.who, process, word)
    }

    /// Removing a refused text clears it; nothing else here can be removed.
    pub(super) fn unlink_control(&mut self, control: &Control) -> Result<(), Fault> {
        let Control::RejectedText(id) = control else { return Err(denied()) };
        let head = self.view.head(*id)?;
        self.commit_with(|txn| txn.scratch_delete(*id))?;
        let dir = Place::Object(head.parent).ino();
        self.files.told.tell(vec![Change::Name { dir, name: head.name }]);
        Ok(())
    }
}
