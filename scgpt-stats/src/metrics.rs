//! Scores on plain slices: how well labels, confidences, sets and responses agree with the truth.

mod agreement;
mod classes;
mod confidence;
mod integration;
mod interval;
mod matching;
mod networks;
mod responses;

pub use self::{
    agreement::{adjusted_rand_index, label_codes, normalised_mutual_information},
    classes::{ClassScore, ClassScores},
    confidence::{
        Coverage, ReliabilityBin, area_under_roc, expected_calibration_error, reliability,
    },
    integration::{batch_mixing, batch_variance, label_separation, silhouettes},
    interval::Interval,
    matching::{foscttm, matching_accuracy},
    networks::{EdgeScores, mean_ranks, sign_accuracy},
    responses::{ResponseScores, centroid_accuracy, difference, discrimination, pearson},
};
pub use self::{
    integration::{ClassDistance, silhouette},
    networks::{largest, ranks_in},
};
