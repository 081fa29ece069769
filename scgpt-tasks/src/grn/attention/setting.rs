//! [`Contrast`] and [`NetworkSetting`]: what a group is compared with, and which weights are meant.

/// What a group of cells is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contrast {
    /// Another group of cells, the control.
    Groups,
    /// Copies of its own cells in which values are shuffled among the genes of the panel.
    Shuffled,
}

/// Which weights of the attention network are meant. All three exist in either [`Contrast`], with
/// another group of cells or with copies of the cells whose values are shuffled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkSetting {
    /// Those of the group that others are compared with, or of the copies with shuffled values.
    Control,
    /// Those of the other group.
    Perturbed,
    /// Those of the other group minus those of the control.
    Difference,
}

impl NetworkSetting {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Control, Self::Perturbed, Self::Difference];

    /// Its name in files and tables, which depends on what the group is compared with.
    pub fn name(self, contrast: Contrast) -> &'static str {
        match (self, contrast) {
            (Self::Control, Contrast::Groups) => "control",
            (Self::Perturbed, Contrast::Groups) => "perturbed",
            (Self::Difference, Contrast::Groups) => "difference",
            (Self::Control, Contrast::Shuffled) => "shuffled",
            (Self::Perturbed, Contrast::Shuffled) => "network",
            (Self::Difference, Contrast::Shuffled) => "beyond_shuffled",
        }
    }

    /// The weights of the setting, given those of both groups, `[sources, targets]` each.
    pub(super) fn of(self, perturbed: &[f32], control: &[f32]) -> Vec<f32> {
        match self {
            Self::Control => control.to_vec(),
            Self::Perturbed => perturbed.to_vec(),
            Self::Difference => perturbed.iter().zip(control).map(|(a, b)| a - b).collect(),
        }
    }
}
