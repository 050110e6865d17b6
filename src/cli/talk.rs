//! Talking to a person on standard error: hints, colours, progress, questions.

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};

/// Says a line on standard error.
pub(super) fn say(text: impl AsRef<str>) {
    // When standard error is closed there is nobody to talk to.
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}

/// Whether standard error takes colours (`NO_COLOR` and `TERM=dumb` say no).
pub(super) fn colours() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal()
        && !set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A spinner with a count, shown only on a terminal.
pub(super) fn progress(what: &str, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {human_pos} · {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}

/// Asks yes or no on the terminal; without a terminal the answer is no.
pub(super) fn confirm(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    let mut err = std::io::stderr();
    let _ = write!(err, "{question} [y/N] ");
    let _ = err.flush();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).is_ok()
        && matches!(line.trim().to_lowercase().as_str(), "y" | "yes" | "はい")
}

/// Asks for a line without showing what is typed.
pub(super) fn secret(question: &str) -> Result<String, super::trouble::Trouble> {
    use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
    let failed = |error: nix::errno::Errno| super::trouble::Trouble::failed(error.to_string());
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).map_err(failed)?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &silent).map_err(failed)?;
    let mut err = std::io::stderr();
    let _ = write!(err, "{question}");
    let _ = err.flush();
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    let restored = tcsetattr(&stdin, SetArg::TCSAFLUSH, &before);
    let _ = writeln!(err);
    read?;
    restored.map_err(failed)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Makes text of a server safe for a terminal: control characters other than line ends and tabs
/// are shown, not obeyed (rule: operations/terminal).
pub(super) fn printable(text: &str) -> String {
    if !text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: operations/terminal
    #[test]
    fn control_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\tb\n\u{1b}[2J\u{9b}1m"), "a\tb\n\\u{1b}[2J\\u{9b}1m");
    }
}
