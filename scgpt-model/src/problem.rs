//! [`FieldProblem`]: errors name fields as data, so that a program can show its own names.

use std::fmt::{self, Display, Formatter};

/// A field whose value cannot work, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// Name of the field, as it is called where it was read: `n_heads`, or `nheads` in a released
    /// `args.json`.
    pub field: &'static str,
    /// What is wrong with it: "is 0, expected 1 to 1024".
    pub problem: String,
}

impl FieldProblem {
    pub(crate) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

impl Display for FieldProblem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.field, self.problem)
    }
}
