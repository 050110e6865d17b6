//! Object paths (rule: language/paths).

use kompira_schema::path::is_word_char;

use super::{Lexer, is_word_start};

impl Lexer<'_> {
    /// Takes an object path if one starts here.
    pub(super) fn place(&mut self) -> bool {
        let start = self.at;
        if self.rest().starts_with('/') {
            self.at += 1;
            if !self.element_follows() {
                self.at = start;
                return false;
            }
        } else if !self.relative() {
            return false;
        }
        // Behind a slash: each turn takes one element and, before a further element, its slash.
        loop {
            if self.relative() {
                continue;
            }
            if !self.rest().starts_with(is_word_start) {
                return true;
            }
            self.eat_while(is_word_char);
            if !self.rest().starts_with('/') {
                return true;
            }
            self.at += 1;
            if !self.element_follows() {
                self.at -= 1;
                return true;
            }
        }
    }

    fn element_follows(&self) -> bool {
        let rest = self.rest();
        rest.starts_with("./") || rest.starts_with("../") || rest.starts_with(is_word_start)
    }

    fn relative(&mut self) -> bool {
        for step in ["./", "../"] {
            if self.rest().starts_with(step) {
                self.at += step.len();
                return true;
            }
        }
        false
    }
}
