//! [`PowerLaw`]: how an error falls as there is more to learn from.

use std::fmt;

use rayon::prelude::*;
use scgpt_data::{Keyed, Purpose};
use serde::{Deserialize, Serialize};

use crate::metrics::Interval;

/// Exponents that are tried: below, a law is a logarithm; above, the first step is all there is.
const EXPONENTS: [f64; 2] = [0.02, 3.0];
/// Exponents on the way from the one to the other, in equal ratios.
const STEPS: u32 = 240;
/// Repetitions of the bootstrap.
const SAMPLES: u64 = 1000;
/// Fewest sizes: a law has three parameters, and goes through any three.
const SIZES: usize = 4;
/// Share of repetitions in which an error may not fall, if it is to be said that it does.
const MAY_RISE: f64 = 0.025;
/// How many times the least exponent that fits the largest one may be, if it is to be said that they are one law.
const WIDEST: f64 = 10.0;

/// `error(n) = floor + gain · n^(−exponent)`, with 95 % bootstrap intervals.
///
/// The error is never below zero, so neither is the floor. Paper: Hestness et al., *Deep learning scaling is
/// predictable, empirically*, 2017; for cells, Cui et al., *scGPT*, Nature Methods 2024, shows errors of growing
/// corpora.
///
/// ```
/// use scgpt_stats::PowerLaw;
///
/// let error = |n: f64, off: f64| [n, 10.0 + 200.0 * n.powf(-0.5) + off];
/// let sizes = [1e3, 3e3, 1e4, 3e4, 1e5];
/// let points: Vec<[f64; 2]> =
///     sizes.iter().flat_map(|&n| [error(n, -0.02), error(n, 0.01), error(n, 0.01)]).collect();
/// let law = PowerLaw::fit(&points, 0)?;
/// assert!(law.exponent.low < 0.5 && law.exponent.high > 0.5);
/// assert!((law.at(1e6) - 10.2).abs() < 0.1);
/// # Ok::<(), scgpt_stats::LawUntold>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PowerLaw {
    /// What remains, however much there is.
    pub floor: Interval,
    /// What is gained, at one.
    pub gain: Interval,
    /// How fast it is gained.
    pub exponent: Interval,
}

/// Why points do not tell a law.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LawUntold {
    /// A law of three parameters goes through so few sizes, whatever is true.
    #[error("{sizes} sizes are too few to tell, expected at least {SIZES}")]
    TooFew {
        /// Number of different sizes.
        sizes: usize,
    },
    /// The error may as well stay where it is, or rise.
    #[error("within what chance does, the error does not fall")]
    Flat,
    /// It falls, but along laws that have little in common.
    #[error("it falls, but exponents from {low:.2} to {high:.2} fit as well")]
    Wide {
        /// Least exponent that fits.
        low: f64,
        /// Largest exponent that fits.
        high: f64,
    },
}

/// The parameters of one fit.
#[derive(Clone, Copy, Debug)]
struct Fit {
    floor: f64,
    gain: f64,
    exponent: f64,
    squares: f64,
}

impl PowerLaw {
    /// Fits a law to points, each a size and its error, by least squares: for every exponent floor and gain are
    /// linear. Intervals are percentiles of 1000 fits to residuals drawn anew, which are widened by the degrees of
    /// freedom that the fit took; they are functions of the seed.
    ///
    /// # Errors
    /// If the points do not tell: there are fewer than four sizes, the error does not fall beyond what chance
    /// does, or exponents fit of which one is ten times another, or the end of the range that is tried.
    ///
    /// # Panics
    /// If a size is not positive, or a number is not finite.
    pub fn fit(points: &[[f64; 2]], seed: u64) -> Result<Self, LawUntold> {
        assert!(points.iter().all(|[n, e]| *n > 0.0 && n.is_finite() && e.is_finite()));
        let mut sizes: Vec<f64> = points.iter().map(|point| point[0]).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        if sizes.len() < SIZES {
            return Err(LawUntold::TooFew { sizes: sizes.len() });
        }
        // In units of the least size, in which gains of all exponents are of one order.
        let unit = sizes[0];
        let ns: Vec<f64> = points.iter().map(|point| point[0] / unit).collect();
        let errors: Vec<f64> = points.iter().map(|point| point[1]).collect();
        let powers = powers(&ns);
        let best = Fit::of(&powers, &errors);
        let predicted: Vec<f64> = ns.iter().map(|&n| best.at(n)).collect();
        let n = errors.len() as f64;
        let widened = (n / (n - 3.0)).sqrt();
        let residuals: Vec<f64> =
            errors.iter().zip(&predicted).map(|(e, p)| widened * (e - p)).collect();
        let fits: Vec<Fit> = (0..SAMPLES)
            .into_par_iter()
            .map(|sample| {
                let key = Keyed::new(seed, Purpose::Sample, u64::MAX - 1, sample);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..n")]
                let drawn = |i: usize| residuals[(key.uniform(i as u64) * n) as usize];
                let drawn: Vec<f64> =
                    predicted.iter().enumerate().map(|(i, p)| p + drawn(i)).collect();
                Fit::of(&powers, &drawn)
            })
            .collect();
        let rising = fits.iter().filter(|fit| fit.gain <= 0.0).count() as f64 / SAMPLES as f64;
        if best.gain <= 0.0 || rising > MAY_RISE {
            return Err(LawUntold::Flat);
        }
        let of = |value: f64, of: fn(&Fit, f64) -> f64| {
            let mut values: Vec<f64> = fits.iter().map(|fit| of(fit, unit)).collect();
            values.sort_by(f64::total_cmp);
            Interval { mean: value, low: values[24], high: values[974] }
        };
        let law = Self {
            floor: of(best.floor, |fit, _| fit.floor),
            gain: of(best.gain_at_one(unit), Fit::gain_at_one),
            exponent: of(best.exponent, |fit, _| fit.exponent),
        };
        let Interval { low, high, .. } = law.exponent;
        let [least, most] = EXPONENTS;
        if low <= least * 1.05 || high >= most / 1.05 || high > WIDEST * low {
            return Err(LawUntold::Wide { low, high });
        }
        Ok(law)
    }

    /// The error at a size, by the best fit.
    pub fn at(&self, n: f64) -> f64 {
        self.floor.mean + self.gain.mean * n.powf(-self.exponent.mean)
    }
}

impl fmt::Display for PowerLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { floor, gain, exponent } = self;
        write!(f, "{:.3} + {:.3} · N^−{:.2}", floor.mean, gain.mean, exponent.mean)?;
        write!(f, ", exponent {:.2} to {:.2}", exponent.low, exponent.high)
    }
}

/// Every exponent that is tried, with the powers of the sizes.
fn powers(ns: &[f64]) -> Vec<(f64, Vec<f64>)> {
    let [least, most] = EXPONENTS;
    let ratio = (most / least).ln() / f64::from(STEPS);
    let exponent = |step: u32| least * (ratio * f64::from(step)).exp();
    (0..=STEPS)
        .map(exponent)
        .map(|exponent| (exponent, ns.iter().map(|n| n.powf(-exponent)).collect()))
        .collect()
}

impl Fit {
    /// The fit with the least squares among all exponents; of equals the one with the least exponent.
    fn of(powers: &[(f64, Vec<f64>)], errors: &[f64]) -> Self {
        let mut best = Self { floor: 0.0, gain: 0.0, exponent: 0.0, squares: f64::INFINITY };
        for (exponent, powers) in powers {
            let fit = Self::with(*exponent, powers, errors);
            if fit.squares < best.squares {
                best = fit;
            }
        }
        best
    }

    fn with(exponent: f64, powers: &[f64], errors: &[f64]) -> Self {
        let n = errors.len() as f64;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
        let (x, y) = (mean(powers), mean(errors));
        let pairs = || powers.iter().zip(errors);
        let xy: f64 = pairs().map(|(a, b)| (a - x) * (b - y)).sum();
        let xx: f64 = powers.iter().map(|a| (a - x).powi(2)).sum();
        let mut gain = xy / xx;
        let mut floor = y - gain * x;
        if floor < 0.0 {
            let through_zero: f64 = pairs().map(|(a, b)| a * b).sum();
            gain = through_zero / powers.iter().map(|a| a * a).sum::<f64>();
            floor = 0.0;
        }
        let squares = pairs().map(|(a, b)| (b - floor - gain * a).powi(2)).sum();
        Self { floor, gain, exponent, squares }
    }

    fn at(&self, n: f64) -> f64 {
        self.floor + self.gain * n.powf(-self.exponent)
    }

    /// The gain where sizes are in units of `unit` in this fit, and of one in the result.
    fn gain_at_one(&self, unit: f64) -> f64 {
        self.gain * unit.powf(self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [f64; 5] = [1e3, 3e3, 1e4, 3e4, 1e5];

    /// Three points a size about a law, with noise of that spread.
    fn points(law: impl Fn(f64) -> f64, spread: f64, seed: u64) -> Vec<[f64; 2]> {
        let key = Keyed::new(seed, Purpose::Simulate, 1, 1);
        let of = |(i, &n): (usize, &f64)| {
            [0, 1, 2].map(|repeat| [n, law(n) + spread * key.normal(2 * (3 * i as u64 + repeat))])
        };
        SIZES.iter().enumerate().flat_map(of).collect()
    }

    #[test]
    fn planted_exponents_are_recovered() {
        for (exponent, floor, gain) in [(0.25, 10.0, 60.0), (0.5, 5.0, 300.0), (0.35, 0.0, 8.0)] {
            let law = |n: f64| floor + gain * n.powf(-exponent);
            let spread = 0.005 * (law(1e3) - law(1e5));
            let mut covered = 0;
            for seed in 0..40 {
                let fit = PowerLaw::fit(&points(law, spread, seed), seed).unwrap();
                assert!((fit.exponent.mean / exponent - 1.0).abs() < 0.25, "{exponent}: {fit}");
                let Interval { low, high, .. } = fit.exponent;
                covered += usize::from(low <= exponent && exponent <= high);
                assert!((fit.at(3e5) - law(3e5)).abs() < 20.0 * spread);
            }
            assert!(covered >= 33, "{exponent}: {covered} of 40 intervals hold it");
        }
    }

    #[test]
    fn what_points_do_not_tell_is_said() {
        let law = |n: f64| 10.0 + 60.0 * n.powf(-0.25);
        let three = |point: &[f64; 2]| point[0] < 2e4;
        let few: Vec<_> = points(law, 0.01, 1).into_iter().filter(three).collect();
        assert_eq!(PowerLaw::fit(&few, 0), Err(LawUntold::TooFew { sizes: 3 }));
        let told = (0..40).filter(|&seed| {
            PowerLaw::fit(&points(|_| 10.0, 0.1, seed), seed) != Err(LawUntold::Flat)
        });
        assert!(told.count() <= 4, "constants fall");
        let rising = points(f64::ln, 0.01, 1);
        assert_eq!(PowerLaw::fit(&rising, 0), Err(LawUntold::Flat));
        // All is gained by the second size.
        let step = points(|n| if n < 2e3 { 20.0 } else { 10.0 }, 0.1, 1);
        let untold = PowerLaw::fit(&step, 0).unwrap_err();
        assert!(matches!(untold, LawUntold::Wide { high, .. } if high > 2.8), "{untold}");
        assert!(untold.to_string().contains("exponents from"), "{untold}");
    }

    #[test]
    fn laws_that_have_little_in_common_are_none() {
        let law = |n: f64| 10.0 + 60.0 * n.powf(-0.25);
        let range = law(1e3) - law(1e5);
        let noisy = |share: f64, seed| PowerLaw::fit(&points(law, share * range, seed), seed);
        let fits = [0.05, 0.1, 0.2, 0.3].into_iter();
        let fits = fits.flat_map(|share| (0..20).map(move |seed| noisy(share, seed)));
        let (told, untold): (Vec<_>, Vec<_>) = fits.partition(Result::is_ok);
        assert!(told.iter().flatten().all(|fit| fit.exponent.high <= 10.0 * fit.exponent.low));
        let is_within = |fit: &Result<PowerLaw, LawUntold>| matches!(fit, Err(LawUntold::Wide { low, high }) if *low > 0.03 && *high < 2.5);
        assert!(untold.iter().any(is_within), "{untold:?}");
    }

    #[test]
    fn the_unit_of_sizes_changes_the_gain_alone() {
        let law = |n: f64| 10.0 + 60.0 * n.powf(-0.25);
        let cells = points(law, 0.01, 2);
        let thousands: Vec<_> = cells.iter().map(|[n, e]| [n / 1e3, *e]).collect();
        let [a, b] = [&cells, &thousands].map(|points| PowerLaw::fit(points, 0).unwrap());
        assert!((a.exponent.mean - b.exponent.mean).abs() < 1e-9);
        let ratio = a.gain.mean / b.gain.mean;
        assert!((ratio / 1e3_f64.powf(a.exponent.mean) - 1.0).abs() < 1e-6, "{ratio}");
    }
}
