//! Separated text, quoted as RFC 4180 has it; a quote that does not end is an error with its line.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use super::Table;
use crate::{
    error::{Error, Result},
    frame::Column,
};

/// Separators, the likeliest first.
const SEPARATORS: [char; 4] = ['\t', ',', ';', ' '];

pub(super) fn read(path: &Path, text: &str) -> Result<Table> {
    let mut text = text;
    let mut line = 1;
    while text.starts_with(['#', '\n']) || text.starts_with("\r\n") {
        text = text.split_once('\n').map_or("", |(_, rest)| rest);
        line += 1;
    }
    let head = text.lines().next().unwrap_or_default();
    if head.trim().is_empty() {
        return Err(Error::invalid(path, "line 1", "the table is empty"));
    }
    let separator = SEPARATORS.into_iter().find(|&c| head.contains(c)).unwrap_or(',');
    let mut records = Records { rest: text, separator, line };
    let names = records.next(path)?.unwrap_or_default();
    let mut columns: Vec<Vec<String>> = vec![Vec::new(); names.len()];
    loop {
        let line = records.line;
        let Some(fields) = records.next(path)? else { break };
        if fields.len() != names.len() {
            let problem = format!("{} fields, but {} columns", fields.len(), names.len());
            return Err(Error::invalid(path, format!("line {line}"), problem));
        }
        columns.iter_mut().zip(fields).for_each(|(column, field)| column.push(field));
    }
    Ok(Table { columns: names.into_iter().zip(columns.into_iter().map(typed)).collect() })
}

/// The narrowest type that holds all fields.
fn typed(fields: Vec<String>) -> Column {
    fn all<T: std::str::FromStr>(fields: &[String]) -> Option<Vec<Option<T>>> {
        let value = |field: &String| match field.as_str() {
            "" => Some(None),
            field => field.parse().ok().map(Some),
        };
        fields.iter().map(value).collect()
    }
    if fields.iter().all(String::is_empty) {
        return Column::Text(vec![None; fields.len()]);
    }
    if let Some(values) = all(&fields) {
        return Column::Integer(values);
    }
    if let Some(values) = all(&fields) {
        return Column::Float(values);
    }
    Column::Text(fields.into_iter().map(|field| Some(field).filter(|f| !f.is_empty())).collect())
}

/// Reads one record after the other; empty lines are none.
struct Records<'a> {
    rest: &'a str,
    separator: char,
    line: usize,
}

impl<'a> Records<'a> {
    fn next(&mut self, path: &Path) -> Result<Option<Vec<String>>> {
        while let Some(rest) =
            self.rest.strip_prefix('\n').or_else(|| self.rest.strip_prefix("\r\n"))
        {
            (self.rest, self.line) = (rest, self.line + 1);
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut fields = Vec::new();
        loop {
            let (field, end) = match self.rest.strip_prefix('"') {
                Some(quoted) => self.quoted(quoted, path)?,
                None => self.plain(),
            };
            fields.push(field);
            match end {
                Some('\n') | None => break,
                Some(_) => {}
            }
        }
        self.line += 1;
        Ok(Some(fields))
    }

    /// A field, and what ended it.
    fn plain(&mut self) -> (String, Option<char>) {
        let separator = self.separator;
        let text = self.rest;
        let end = text.find([separator, '\n']).unwrap_or(text.len());
        let field = text[..end].trim_end_matches('\r').to_owned();
        let ended = text[end..].chars().next();
        self.rest = &text[end + ended.map_or(0, char::len_utf8)..];
        (field, ended)
    }

    /// A field that began with a quote, and what ended it.
    fn quoted(&mut self, mut rest: &'a str, path: &Path) -> Result<(String, Option<char>)> {
        let mut field = String::new();
        loop {
            let Some((part, after)) = rest.split_once('"') else {
                let place = format!("line {}", self.line);
                return Err(Error::invalid(path, place, "a quote that does not end"));
            };
            field.push_str(part);
            rest = after;
            match after.strip_prefix('"') {
                Some(after) => {
                    field.push('"');
                    rest = after;
                }
                None => break,
            }
        }
        self.line += field.matches('\n').count();
        self.rest = rest;
        let (more, ended) = self.plain();
        field.push_str(&more);
        Ok((field, ended))
    }
}

pub(super) fn write(table: &Table, separator: char, file: File) -> io::Result<()> {
    let mut to = BufWriter::new(file);
    let mut line = |fields: &mut dyn Iterator<Item = String>| {
        for (index, field) in fields.enumerate() {
            if index > 0 {
                write!(to, "{separator}")?;
            }
            if field.contains([separator, '"', '\n', '\r']) {
                write!(to, "\"{}\"", field.replace('"', "\"\""))?;
            } else {
                write!(to, "{field}")?;
            }
        }
        writeln!(to)
    };
    line(&mut table.names().map(String::from))?;
    for row in 0..table.len() {
        line(&mut table.columns.iter().map(|(_, column)| field(column, row)))?;
    }
    to.into_inner()?.sync_all()
}

/// A value as text; numbers as short as they can be without becoming others.
fn field(column: &Column, row: usize) -> String {
    match column {
        Column::Text(values) => values[row].clone().unwrap_or_default(),
        Column::Categorical { codes, categories, .. } => {
            let category = |code: u32| categories.get(code as usize).cloned();
            codes[row].and_then(category).unwrap_or_default()
        }
        Column::Float(values) => values[row].map_or_else(String::new, |value| {
            let is_plain = value == 0.0 || (1e-4..1e15).contains(&value.abs());
            if is_plain { value.to_string() } else { format!("{value:e}") }
        }),
        Column::Integer(values) => values[row].map_or_else(String::new, |value| value.to_string()),
        Column::Boolean(values) => values[row].map_or_else(String::new, |value| value.to_string()),
    }
}
