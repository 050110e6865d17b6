//! Names the language knows.

use kompira_schema::signature;

/// The control variables (rule: language/control-variables).
pub(super) const CONTROL: [&str; 24] = [
    "__realm__",
    "__host__",
    "__conntype__",
    "__user__",
    "__password__",
    "__node__",
    "__account__",
    "__sudo__",
    "__dir__",
    "__port__",
    "__keyfile__",
    "__passphrase__",
    "__timeout__",
    "__proxy__",
    "__shell__",
    "__use_shell__",
    "__use_pty__",
    "__use_cache__",
    "__raw_stdout__",
    "__raw_stderr__",
    "__encoding__",
    "__winrs_auth_type__",
    "__winrs_scheme__",
    "__winrs_use_tlsv1_0__",
];

pub(super) fn is_control(name: &str) -> bool {
    CONTROL.contains(&name)
}

pub(super) fn is_job(name: &str) -> bool {
    signature::job(name).is_some()
}

pub(super) fn is_function(name: &str) -> bool {
    signature::function(name).is_some()
}

/// Everything that may be called by its bare name.
pub(super) fn callables() -> impl Iterator<Item = &'static str> {
    signature::jobs().iter().chain(signature::functions()).map(|built_in| built_in.name.as_str())
}

/// The name that was probably meant by `name`: at most a third of its letters are off.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let name: Vec<char> = name.chars().take(LETTERS_MAX + 1).collect();
    if name.len() > LETTERS_MAX {
        return None;
    }
    let allowed = (name.len() / 3).min(2);
    known
        .take(NAMES_MAX)
        .filter_map(|other| {
            let letters: Vec<char> = other.chars().take(LETTERS_MAX + 1).collect();
            let near =
                letters.len().abs_diff(name.len()) <= allowed && letters.len() <= LETTERS_MAX;
            near.then(|| (distance(&name, &letters), other))
        })
        .filter(|(distance, _)| (1..=allowed).contains(distance))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// Longest name that is compared, and most names: a hint must stay cheap.
const LETTERS_MAX: usize = 40;
const NAMES_MAX: usize = 500;

/// How many letters must be changed, added, removed or swapped with their neighbour.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (i, a) in one.iter().enumerate() {
        let above = &rows[i];
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut cost = (above[j] + usize::from(a != b)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                cost = cost.min(rows[i - 1][j - 1] + 1);
            }
            row.push(cost);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}
