//! Node numbers: which object and which side of it, or which row of the node table.

use kompira_schema::id::{GroupId, ObjectId, ProcessId, UserId};
use kompira_schema::tree::Ino;

/// What a node number stands for. Layout: number << 3 | facet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The file or directory of an object, or a scratch node.
    Object(ObjectId),
    /// The sidecar of an object.
    Record(ObjectId),
    /// The companion directory of an object.
    Companion(ObjectId),
    /// A user as a YAML file.
    User(UserId),
    /// A group as a YAML file.
    Group(GroupId),
    /// A process as a YAML file.
    Process(ProcessId),
    /// A row of the node table: an attachment, an entry of the control directory.
    Node(u64),
}

const FACET_BITS: u32 = 3;

impl Place {
    /// The root of the tree.
    pub(super) const ROOT: Self = Self::Object(ObjectId::ROOT);

    /// Its number.
    pub(super) const fn ino(self) -> Ino {
        let (number, facet) = match self {
            Self::Object(ObjectId::ROOT) => return Ino::ROOT,
            Self::Object(id) => (id.0, 0),
            Self::Record(id) => (id.0, 1),
            Self::Companion(id) => (id.0, 2),
            Self::User(id) => (id.0, 3),
            Self::Group(id) => (id.0, 4),
            Self::Process(id) => (id.0, 5),
            Self::Node(number) => (number, 7),
        };
        Ino(number << FACET_BITS | facet)
    }

    /// What a number stands for; `None` for one that was never given.
    pub(super) const fn of(ino: Ino) -> Option<Self> {
        if ino.0 == Ino::ROOT.0 {
            return Some(Self::ROOT);
        }
        let number = ino.0 >> FACET_BITS;
        Some(match ino.0 & ((1 << FACET_BITS) - 1) {
            0 => Self::Object(ObjectId(number)),
            1 => Self::Record(ObjectId(number)),
            2 => Self::Companion(ObjectId(number)),
            3 => Self::User(UserId(number)),
            4 => Self::Group(GroupId(number)),
            5 => Self::Process(ProcessId(number)),
            7 => Self::Node(number),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_back_as_its_place() {
        for number in [1, 2, 77, 1 << 60] {
            for place in [
                Place::Object(ObjectId(number)),
                Place::Record(ObjectId(number)),
                Place::Companion(ObjectId(number)),
                Place::User(UserId(number)),
                Place::Group(GroupId(number)),
                Place::Process(ProcessId(number)),
                Place::Node(number),
            ] {
                assert_eq!(Place::of(place.ino()), Some(place));
            }
        }
        assert_eq!(Place::ROOT.ino(), Ino::ROOT);
        assert_eq!(Place::of(Ino(6)), None);
    }
}
