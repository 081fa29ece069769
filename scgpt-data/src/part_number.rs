//! [`PartNumber`]: which part of a whole is done here.

use std::{fmt, ops::Range, str::FromStr};

use serde::{Deserialize, Serialize};

/// Most parts of a whole: more would have a few cells each.
const MOST: usize = 100_000;
/// What stands around the numbers in the name of a file, and after them.
const BEFORE: &str = ".part-";
const BETWEEN: &str = "-of-";
const AFTER: &str = ".parquet";

/// One of several parts, counted from 1: `3/16`.
///
/// ```
/// use scgpt_data::PartNumber;
///
/// let third: PartNumber = "3/16".parse()?;
/// assert_eq!(third.rows(100), 12..18);
/// assert_eq!(third.file_name("cells"), "cells.part-0003-of-0016.parquet");
/// # Ok::<_, String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartNumber {
    number: usize,
    of: usize,
}

impl PartNumber {
    /// Part `number` of `of`; `None` if there is none.
    pub fn new(number: usize, of: usize) -> Option<Self> {
        ((1..=of).contains(&number) && of <= MOST).then_some(Self { number, of })
    }

    /// Its number, from 1.
    pub fn number(self) -> usize {
        self.number
    }

    /// How many parts there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// Its rows of `n`: consecutive, and as many as those of any other part, or one more. Of more parts than rows
    /// some have none.
    #[allow(clippy::cast_possible_truncation, reason = "at most `n`")]
    pub fn rows(self, n: usize) -> Range<usize> {
        let end = |part: usize| (n as u128 * part as u128 / self.of as u128) as usize;
        end(self.number - 1)..end(self.number)
    }

    /// The name of the file of this part, whose output is called `name`.
    pub fn file_name(self, name: &str) -> String {
        format!("{}{AFTER}", self.folder_name(name))
    }

    /// The name of the folder of this part, if it is one, of an output that is called `name`.
    pub fn folder_name(self, name: &str) -> String {
        let Self { number, of } = self;
        format!("{name}{BEFORE}{number:04}{BETWEEN}{of:04}")
    }

    /// The part whose file has that name, and what its output is called; `None` if it is another's name.
    pub fn of_file_name(file: &str) -> Option<(&str, Self)> {
        Self::of_folder_name(file.strip_suffix(AFTER)?)
    }

    /// The part whose folder has that name, and what its output is called; `None` if it is another's name.
    pub fn of_folder_name(folder: &str) -> Option<(&str, Self)> {
        let (name, numbers) = folder.rsplit_once(BEFORE)?;
        let (number, of) = numbers.split_once(BETWEEN)?;
        let part = Self::new(number.parse().ok()?, of.parse().ok()?)?;
        (part.folder_name(name) == folder).then_some((name, part))
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for PartNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = text.split_once('/').and_then(|(number, of)| {
            Self::new(number.trim().parse().ok()?, of.trim().parse().ok()?)
        });
        part.ok_or_else(|| format!("`{text}`: expected a part of at most {MOST}, such as 2/3"))
    }
}

impl TryFrom<String> for PartNumber {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PartNumber> for String {
    fn from(part: PartNumber) -> Self {
        part.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> PartNumber {
        text.parse().unwrap()
    }

    #[test]
    fn parts_are_counted_from_one() {
        assert_eq!(part("2/3"), PartNumber { number: 2, of: 3 });
        assert_eq!(part(" 2 / 3 ").to_string(), "2/3");
        for text in ["0/3", "4/3", "2", "a/b", "1/0", "", "1/100001", "-1/3", "1/3/4"] {
            let refused = text.parse::<PartNumber>().unwrap_err();
            assert!(refused.contains("such as 2/3"), "{text}: {refused}");
        }
    }

    #[test]
    fn all_rows_are_in_one_part_each() {
        for n in [0, 1, 2, 7, 100, usize::MAX] {
            for of in [1, 3, 16] {
                let parts = (1..=of).filter_map(|number| PartNumber::new(number, of));
                let mut end = 0;
                for rows in parts.map(|part| part.rows(n)) {
                    assert_eq!(rows.start, end);
                    assert!(rows.len() == n / of || rows.len() == n / of + 1);
                    end = rows.end;
                }
                assert_eq!(end, n);
            }
        }
    }

    #[test]
    fn files_are_known_by_their_names() {
        let name = part("7/12345").file_name("a.part-1");
        assert_eq!(name, "a.part-1.part-0007-of-12345.parquet");
        assert_eq!(PartNumber::of_file_name(&name), Some(("a.part-1", part("7/12345"))));
        let folder = part("1/2").folder_name("shards");
        assert_eq!(folder, "shards.part-0001-of-0002");
        assert_eq!(PartNumber::of_folder_name(&folder), Some(("shards", part("1/2"))));
        assert_eq!(PartNumber::of_folder_name(&name), None);
        for other in [
            "a.parquet",
            "a.part-7-of-12.parquet",
            "a.part-0007-of-0003.parquet",
            "a.part-0001-of-0002.csv",
        ] {
            assert_eq!(PartNumber::of_file_name(other), None, "{other}");
        }
    }
}
