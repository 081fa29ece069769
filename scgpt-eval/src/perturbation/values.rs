//! [`check_values`]: checks that values are logarithms, of which responses are differences.

use scgpt_data::{Advice, CellSource, Error, InputState, Layer, Result, input_state, input_values};

/// Checks that values are logarithms, of which responses are differences, and returns the sum that
/// all cells have before the logarithm, if they share one.
///
/// # Errors
/// If they are anything else, or cannot be read.
pub fn check_values(source: &mut dyn CellSource, layer: &Layer) -> Result<Option<f64>> {
    let prepare = || Advice::from("make such a file with `scgpt perturb prepare`");
    let found = input_values(source, layer)?;
    let (values, remedy) = match found.state {
        InputState::Log1p => return Ok(found.total),
        InputState::Counts => ("counts", prepare()),
        InputState::Fractional => ("fractional counts", prepare()),
        InputState::Normalised => ("values without logarithm", prepare()),
        InputState::LoggedCounts => ("log1p of counts that were not normalised", prepare()),
        InputState::Scaled => ("negative values", Advice::before_scaling()),
    };
    let problem = format!(
        "`{layer}` of `{}` holds {values}, expected normalised values after log1p",
        source.summary().path.display()
    );
    Err(Error::unsuited(problem, remedy))
}

/// Checks that predicted values are not counts; some may be below zero.
///
/// # Errors
/// If they are, or cannot be read.
pub(super) fn check_predicted(source: &mut dyn CellSource) -> Result<()> {
    match input_state(source, &Layer::X)? {
        InputState::Log1p | InputState::Scaled => Ok(()),
        state => Err(Error::Option(format!(
            "the predictions in `{}` are {state}, expected logarithms: of normalised values after log1p, as the true ones are",
            source.summary().path.display()
        ))),
    }
}
