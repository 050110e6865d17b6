//! Where the attachments of an object lie beside it, and the values that say so.

use crate::layout::names::{COMPANION_ENDING, escape};
use crate::record::{Attachment, Carrier, Element};
use crate::value::FileValue;

/// Path of an attachment's file below the directory that holds the record: `.STEM.files/FIELD/FILE`,
/// `…/FIELD/NNNN/FILE` or `…/FIELD/KEY/FILE` (rule: `files/attachments`).
#[must_use]
pub fn path(stem: &str, field: &str, element: Option<Element<'_>>, name: &str) -> String {
    format!(".{stem}{COMPANION_ENDING}/{}", inside(field, element, name))
}

/// Path of an attachment's file inside the companion directory.
#[must_use]
pub fn inside(field: &str, element: Option<Element<'_>>, name: &str) -> String {
    let file = escape(name);
    match element {
        None => format!("{field}/{file}"),
        Some(Element::Index(index)) => format!("{field}/{index:04}/{file}"),
        Some(Element::Key(key)) => format!("{field}/{}/{file}", escape(key)),
    }
}

/// A stored file as the record of the object with `stem` shows it.
#[must_use]
pub fn beside(
    stem: &str,
    field: &str,
    element: Option<Element<'_>>,
    file: &FileValue,
) -> Attachment {
    Attachment::of(file, Carrier::Path(path(stem, field, element, &file.name)))
}

/// Whether the `path` of a record stays inside its companion directory: relative, no `..`, no
/// empty element.
#[must_use]
pub fn is_inside(stem: &str, path: &str) -> bool {
    path.strip_prefix('.')
        .and_then(|rest| rest.strip_prefix(stem))
        .and_then(|rest| rest.strip_prefix(COMPANION_ENDING))
        .and_then(|rest| rest.strip_prefix('/'))
        .is_some_and(|rest| {
            rest.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: files/attachments
    #[test]
    fn attachments_lie_in_the_companion_directory() {
        assert_eq!(
            path("badge", "attached1", None, "badge.svg"),
            ".badge.files/attached1/badge.svg"
        );
        assert_eq!(
            path("r02", "shots", Some(Element::Index(1)), "back.png"),
            ".r02.files/shots/0001/back.png"
        );
        assert_eq!(
            path("r02", "manuals", Some(Element::Key("quick/start")), "guide.pdf"),
            ".r02.files/manuals/quick%2Fstart/guide.pdf"
        );
        assert_eq!(path("a", "f", Some(Element::Index(12_345)), ".x"), ".a.files/f/12345/%2Ex");
    }

    // rule: files/attachments
    #[test]
    fn a_path_may_not_leave_the_companion_directory() {
        assert!(is_inside("a", ".a.files/f/x"));
        for bad in [
            ".a.files/../x",
            "/etc/passwd",
            "../.a.files/f/x",
            ".b.files/f/x",
            ".a.files/",
            ".a.files//x",
            ".a.files/f/./x",
            ".a.files",
            "a",
        ] {
            assert!(!is_inside("a", bad), "{bad}");
        }
    }
}
