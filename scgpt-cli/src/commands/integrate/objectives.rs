//! `--objectives NAME=WEIGHT,…`.

use anyhow::{Context as _, Result};
use scgpt_data::similar_names;
use scgpt_train::Objectives;
use serde_json::Value;

/// Changes the weights that `pairs` name.
pub(super) fn weigh(objectives: &mut Objectives, pairs: &[String]) -> Result<()> {
    let mut table = serde_json::to_value(*objectives)?;
    for pair in pairs {
        let expected = || format!("--objectives {pair}: expected NAME=WEIGHT, such as ecs=0");
        let (name, weight) = pair.split_once('=').with_context(expected)?;
        let name = name.trim().replace('-', "_");
        let weight: f64 = weight.trim().parse().with_context(expected)?;
        let known: Vec<String> =
            table.as_object().map(|table| table.keys().cloned().collect()).unwrap_or_default();
        let slot = table.get_mut(&name).with_context(|| {
            let hint = similar_names(&name, known.iter().map(String::as_str)).hint();
            let known = known.join(", ");
            format!("--objectives {pair}: no such objective, expected one of {known}{hint}")
        })?;
        *slot = Value::from(weight);
    }
    *objectives = serde_json::from_value(table)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_change_and_mistakes_are_told() {
        let mut objectives = Objectives { ecs: 10.0, dar: 1.0, ..Objectives::default() };
        weigh(&mut objectives, &["ecs=0".into(), "gep-zero = 0.5".into()]).unwrap();
        let expected = Objectives { gep_zero: 0.5, dar: 1.0, ..Objectives::default() };
        assert_eq!(objectives, expected);
        for (pair, part) in
            [("dar", "NAME=WEIGHT"), ("dar=x", "NAME=WEIGHT"), ("day=1", "gepc_zero")]
        {
            let message = weigh(&mut objectives, &[pair.into()]).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
