//! Where blanks stand between two tokens of one line.

use super::super::lex::{Role, Sign, Token, TokenKind};

/// Whether a blank stands between `left` and `right`.
pub(super) fn blank_between(left: &Token, right: &Token) -> bool {
    if right.clause {
        return true;
    }
    if left.kind == TokenKind::Sign(Sign::BraceOpen) && right.role == Role::BlockClose {
        return true;
    }
    // `1.x` would be a number.
    if matches!(left.kind, TokenKind::Integer(_)) && right.kind == TokenKind::Sign(Sign::Dot) {
        return true;
    }
    blank_behind(left) && blank_before(right)
}

fn blank_behind(left: &Token) -> bool {
    match left.role {
        Role::Prefix | Role::AngleOpen | Role::BarOpen | Role::Tight => return false,
        Role::BlockOpen => return true,
        Role::Plain | Role::Postfix | Role::AngleClose | Role::BarClose | Role::BlockClose => {}
    }
    !matches!(
        left.kind,
        TokenKind::Sign(Sign::ParenOpen | Sign::BracketOpen | Sign::BraceOpen | Sign::Dot)
    )
}

fn blank_before(right: &Token) -> bool {
    match right.role {
        Role::Postfix | Role::AngleClose | Role::BarClose | Role::Tight => return false,
        Role::BlockClose => return true,
        Role::Plain | Role::Prefix | Role::AngleOpen | Role::BarOpen | Role::BlockOpen => {}
    }
    !matches!(
        right.kind,
        TokenKind::Sign(
            Sign::ParenClose
                | Sign::BracketClose
                | Sign::BraceClose
                | Sign::Dot
                | Sign::Comma
                | Sign::Colon
        )
    )
}
