//! Which modules of a crate use each other, by what `use` and paths say.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{code, files};

/// The path of a module, a name a level.
type Module = Vec<String>;

/// The code of every module.
type Texts = BTreeMap<Module, String>;

/// The path that a module exports under a name.
type Exports = BTreeMap<(Module, String), Module>;

/// Of the modules that lie side by side, those that use each other, directly or by way of others. A
/// parent and its children may; what a parent exports of a child is the child's.
pub(super) fn circles(src: &Path) -> Vec<String> {
    let text = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        code(&text).collect::<Vec<_>>().join("\n")
    };
    let texts: Texts = files(src)
        .into_iter()
        .map(|path| (module(path.strip_prefix(src).unwrap()), text(&path)))
        .collect();
    let exports = exports(&texts);
    // For each parent, which of its children use which others.
    let mut sides: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (from, text) in &texts {
        for path in paths(text) {
            let Some(to) = target(from, &path, &texts, &exports) else { continue };
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if let (Some(one), Some(other)) = (from.get(shared), to.get(shared)) {
                let uses = sides.entry(from[..shared].to_vec()).or_default();
                uses.entry(one.clone()).or_default().insert(other.clone());
            }
        }
    }
    let mut found = Vec::new();
    for (parent, uses) in &sides {
        for (one, others) in uses {
            for other in others.iter().filter(|other| reached(uses, other).contains(one)) {
                found.push(format!("{}: {one} → {other} → … → {one}", parent.join("::")));
            }
        }
    }
    found
}

/// What a module uses, and what is used by that.
fn reached(uses: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let (mut seen, mut left) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(next) = left.pop() {
        for other in uses.get(&next).into_iter().flatten() {
            if seen.insert(other.clone()) {
                left.push(other.clone());
            }
        }
    }
    seen
}

/// `checkpoint/keys.rs` is `[checkpoint, keys]`; the root of the crate has no name.
fn module(path: &Path) -> Module {
    let names = path.with_extension("");
    let names = names.iter().map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name != "lib" && name != "main").collect()
}

/// All paths into the crate that begin with `crate`, `super` or `self`, those of braces one by one.
fn paths(code: &str) -> Vec<Module> {
    let mut found = Vec::new();
    let begins = |at: usize| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "_:$".contains(c))
    };
    for word in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(word).filter(|(at, _)| begins(*at)) {
            let end = code[at..].find(';').map_or(code.len(), |end| at + end);
            expand(&code[at..end], &mut Vec::new(), &mut found);
        }
    }
    found
}

/// Reads one path; what follows it, which is no path, ends it. Returns the letters read.
fn expand(text: &str, before: &mut Module, found: &mut Vec<Module>) -> usize {
    let name_end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    before.push(text[..name_end].to_owned());
    let rest = &text[name_end..];
    let read = match rest.strip_prefix("::") {
        Some(inner) if inner.starts_with('{') => {
            let mut at = 1;
            while let Some(begin) = inner[at..].find(|c: char| !c.is_whitespace() && c != ',') {
                at += begin;
                if inner[at..].starts_with('}') {
                    at += 1;
                    break;
                }
                let read = expand(&inner[at..], before, found).max(1);
                at += read;
                // ` as name`, or whatever else is no part of the path.
                at += inner[at..].find([',', '}']).unwrap_or(inner.len() - at);
            }
            name_end + 2 + at
        }
        Some(inner) if inner.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
            name_end + 2 + expand(inner, before, found)
        }
        _ => {
            found.push(before.clone());
            name_end
        }
    };
    before.pop();
    read
}

/// What modules export of others.
fn exports(texts: &Texts) -> Exports {
    let mut found = Exports::new();
    for (module, text) in texts {
        for (at, _) in text.match_indices(" use ") {
            let line = text[..at].rsplit('\n').next().unwrap_or_default();
            if !line.trim_start().starts_with("pub") {
                continue;
            }
            let end = text[at..].find(';').map_or(text.len(), |end| at + end);
            for path in paths(&text[at..end]) {
                let (Some(name), Some(whole)) = (path.last(), absolute(module, &path)) else {
                    continue;
                };
                found.insert((module.clone(), name.clone()), whole);
            }
        }
    }
    found
}

/// A path in `from`, from the root of the crate.
fn absolute(from: &Module, path: &Module) -> Option<Module> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let (base, rest) = match path[0].as_str() {
        "crate" => (Vec::new(), &path[1..]),
        "self" => (from.clone(), &path[1..]),
        _ => (from[..from.len().checked_sub(ups)?].to_vec(), &path[ups..]),
    };
    Some(base.into_iter().chain(rest.iter().cloned()).collect())
}

/// The module that a path in `from` leads to, past those that export it.
fn target(from: &Module, path: &Module, texts: &Texts, exports: &Exports) -> Option<Module> {
    let mut whole = absolute(from, path)?;
    loop {
        let is_known = |n: &usize| *n == 0 || texts.contains_key(&whole[..*n]);
        let n = (0..=whole.len()).rev().find(is_known)?;
        let name = whole.get(n).cloned().unwrap_or_default();
        let exported = exports.get(&(whole[..n].to_vec(), name));
        let Some(place) = exported.filter(|place| **place != whole[..=n]) else {
            return Some(whole[..n].to_vec());
        };
        whole = place.iter().chain(&whole[n + 1..]).cloned().collect();
    }
}

#[test]
fn paths_are_read_out_of_braces() {
    let code = "use crate::{a::{b, c as d}, e};\nlet x = super::f::g(1); crate_::no(); self::h";
    let read: Vec<String> = paths(code).iter().map(|path| path.join("::")).collect();
    assert_eq!(read, ["crate::a::b", "crate::a::c", "crate::e", "super::f::g", "self::h"]);
}

#[test]
fn what_a_parent_exports_is_its_childs() {
    let module = |path: &str| path.split("::").map(str::to_owned).collect::<Module>();
    let texts = Texts::from([
        (Vec::new(), "pub mod a;".into()),
        (module("a"), "mod b;\nmod c;\npub(crate) use self::{b::One, c::Two};".into()),
        (module("a::b"), "use super::Two;".into()),
        (module("a::c"), "use super::{c, One};".into()),
    ]);
    let to = |from: &str, path: &str| {
        target(&module(from), &module(path), &texts, &exports(&texts)).unwrap().join("::")
    };
    assert_eq!([to("a::b", "super::Two"), to("a::c", "crate::a::One::new")], ["a::c", "a::b"]);
    assert_eq!([to("a::b", "super::c"), to("a::b", "super::Three")], ["a::c", "a"]);
}
