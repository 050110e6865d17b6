//! Config and Form: records that define fields of their own (rule: `tree/config`).

use kompira_schema::error::Problem;
use kompira_schema::types::check_type_object;

use super::type_object::fit_labels;
use super::{Behaviour, Saving};

pub(super) struct Config;

impl Behaviour for Config {
    fn before_write(&self, saving: &mut Saving<'_>) -> Result<(), Vec<Problem>> {
        check(saving)
    }

    fn has_data(&self) -> bool {
        true
    }
}

pub(super) struct Form;

impl Behaviour for Form {
    fn before_write(&self, saving: &mut Saving<'_>) -> Result<(), Vec<Problem>> {
        check(saving)
    }
}

fn check(saving: &mut Saving<'_>) -> Result<(), Vec<Problem>> {
    fit_labels(saving);
    let problems = check_type_object(saving.fields);
    if !problems.is_empty() && !saving.lenient {
        return Err(problems);
    }
    Ok(())
}
