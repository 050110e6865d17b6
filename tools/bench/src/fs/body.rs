//! The bytes of the small files: every file and every generation has its own.

use super::settings::{SIZE_MAX, Settings};
use std::fmt::Write as _;

/// The word that is in every hundredth file.
pub(super) const NEEDLE: &str = "zanzibar";

/// Content of file `number` in its `generation`, padded to the size wanted.
pub(super) fn body(settings: &Settings, number: usize, generation: u32) -> Vec<u8> {
    let mut text = match &settings.template {
        Some(template) => {
            let text = template
                .replace("{i}", &number.to_string())
                .replace("{g}", &generation.to_string());
            text.chars().take(SIZE_MAX / 4).collect()
        }
        None => made(number, generation, settings.size),
    };
    if text.len() + 2 < settings.size {
        let fill = settings.size - text.len() - 2;
        text.push('#');
        text.extend(std::iter::repeat_n('x', fill));
        text.push('\n');
    }
    text.into_bytes()
}

fn made(number: usize, generation: u32, size: usize) -> String {
    let mut text = String::with_capacity(size + 64);
    let note = if number.is_multiple_of(100) { NEEDLE } else { "plain" };
    let _ = write!(
        text,
        "# obj {number} gen {generation}\nname: node-{number:05}\nenabled: {}\nnote: {note}\nfields:\n",
        !number.is_multiple_of(3)
    );
    let mut random = (number as u32)
        .wrapping_mul(2_654_435_761)
        .wrapping_add(generation.wrapping_mul(40_503))
        .wrapping_add(1);
    let mut key = 0;
    while text.len() + 40 < size {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let _ = writeln!(text, "  key{key:02}: value-{random:08x}-{number:05}");
        key += 1;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(template: Option<&str>) -> Settings {
        Settings {
            files: 10,
            dirs: 1,
            size: 1024,
            ext: "txt".into(),
            template: template.map(str::to_owned),
            rewrites: 1,
            fsaves: 1,
            renames: 2,
            big_mib: 1,
            phases: "a".into(),
            drop: false,
            scratch: "/tmp".into(),
        }
    }

    #[test]
    fn every_file_and_generation_differs_and_has_the_size_wanted() {
        let settings = settings(None);
        let bodies = [body(&settings, 1, 0), body(&settings, 1, 1), body(&settings, 2, 0)];
        assert!(bodies.iter().all(|body| body.len().abs_diff(1024) <= 2), "{}", bodies[0].len());
        assert!(bodies[0] != bodies[1] && bodies[0] != bodies[2]);
        assert_eq!(bodies[0], body(&settings, 1, 0));
    }

    #[test]
    fn every_hundredth_file_holds_the_needle() {
        let settings = settings(None);
        let has =
            |number| String::from_utf8(body(&settings, number, 0)).expect("text").contains(NEEDLE);
        assert!(has(0) && has(100) && !has(1) && !has(99));
    }

    #[test]
    fn a_template_names_file_and_generation() {
        let text = body(&settings(Some("n{i}g{g}\n")), 7, 3);
        assert!(text.starts_with(b"n7g3\n#x") && text.ends_with(b"x\n"));
    }
}
