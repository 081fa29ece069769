//! [`Setting`], [`Advice`]: errors name settings as data, so that a program can show its own names.

use std::{
    borrow::Cow,
    fmt::{self, Display, Formatter},
    ops::Add,
};

/// A setting, by the name of its field in the options of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting(pub &'static str);

impl Setting {
    /// Says what is wrong with its value; the sentence begins with the setting.
    pub fn wrong(self, problem: impl Into<Advice>) -> SettingProblem {
        SettingProblem { setting: self, problem: problem.into() }
    }

    /// Says that it is 0, where at least 1 is needed.
    pub fn zero(self) -> SettingProblem {
        self.wrong("is 0, expected at least 1")
    }

    /// Says that `value` is no share between 0 and 1.
    pub fn no_share(self, value: f64) -> SettingProblem {
        self.wrong(format!("is {value}, expected a number between 0 and 1"))
    }
}

impl Display for Setting {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// A setting whose value cannot work, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// Which setting it is.
    pub setting: Setting,
    /// What is wrong with it: "is 0, expected at least 1".
    pub problem: Advice,
}

impl SettingProblem {
    /// The sentence, with each setting called as `spell` calls it.
    pub fn spelled(&self, spell: &dyn Fn(Setting) -> String) -> String {
        format!("{} {}", spell(self.setting), self.problem.spelled(spell))
    }
}

impl Display for SettingProblem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.setting, self.problem)
    }
}

/// What to do about an error: text, and the settings it names.
///
/// ```
/// use scgpt_data::{Advice, Setting};
///
/// let advice = Advice::from("choose another matrix by ") + Setting("layer") + ".";
/// assert_eq!(advice.to_string(), "choose another matrix by `layer`.");
/// assert_eq!(advice.spelled(&|it| format!("--{}", it.0)), "choose another matrix by --layer.");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Cow<'static, str>),
    Setting(Setting),
}

impl Advice {
    /// The text, with each setting called as `spell` calls it.
    pub fn spelled(&self, spell: &dyn Fn(Setting) -> String) -> String {
        let said = |part: &Part| match part {
            Part::Text(text) => text.clone().into_owned(),
            Part::Setting(setting) => spell(*setting),
        };
        self.0.iter().map(said).collect()
    }
}

impl Display for Advice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled(&|setting| setting.to_string()))
    }
}

impl From<&'static str> for Advice {
    fn from(text: &'static str) -> Self {
        Self(vec![Part::Text(text.into())])
    }
}

impl From<String> for Advice {
    fn from(text: String) -> Self {
        Self(vec![Part::Text(text.into())])
    }
}

impl From<Setting> for Advice {
    fn from(setting: Setting) -> Self {
        Self(vec![Part::Setting(setting)])
    }
}

impl<T: Into<Self>> Add<T> for Advice {
    type Output = Self;

    fn add(mut self, more: T) -> Self {
        self.0.extend(more.into().0);
        self
    }
}

impl Advice {
    /// What to do about negative values: to choose the matrix that the z-scores were made of.
    pub fn before_scaling() -> Self {
        Self::from("choose the matrix before scaling by ") + Setting("layer")
    }
}
