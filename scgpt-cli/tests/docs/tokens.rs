//! [`first_difference`]: whether a text is what a page says, numbers about so.

/// How far a number may be from the one on the page: so much of it, and so much beside.
const SHARE: f64 = 0.2;
const BESIDE: f64 = 0.05;

/// Units of numbers that are of the machine, and may be any.
const OF_THE_MACHINE: [&str; 6] = ["cells/s", "s", "s)", "s,", "MB", "MB)"];

#[derive(Clone, Debug, PartialEq)]
enum Token<'t> {
    /// Whatever is there.
    Any,
    Number(f64),
    Word(&'t str),
}

/// Where the text `printed` is not what the page says; `None` if all of `expected` is in it, in order. A `…` of the page
/// stands for any text, and lines may be broken elsewhere.
pub(crate) fn first_difference(expected: &str, printed: &str) -> Option<String> {
    let (expected, printed) = (tokens(expected), tokens(printed));
    let mut at = 0;
    for part in expected.split(|token| *token == Token::Any).filter(|part| !part.is_empty()) {
        let places = at..=printed.len();
        let is_here = |&place: &usize| alike(part, &printed[place..]).is_none();
        if let Some(place) = places.clone().find(is_here) {
            at = place + part.len();
            continue;
        }
        // The longest that is alike tells most.
        let furthest = places.map(|place| alike(part, &printed[place..]).unwrap_or(0)).max();
        let furthest = furthest.unwrap_or(0);
        let before: Vec<String> = part[..furthest].iter().rev().take(4).rev().map(shown).collect();
        let found = part.get(furthest).map_or_else(|| "the end".into(), shown);
        return Some(format!("`{found}` is not printed after `{}`", before.join(" ")));
    }
    None
}

/// Position of the first token in which they differ; `None` if `part` is what `printed` begins with.
fn alike(part: &[Token<'_>], printed: &[Token<'_>]) -> Option<usize> {
    (0..part.len()).find(|&at| {
        let Some(found) = printed.get(at) else { return true };
        let is_of_the_machine =
            matches!(part.get(at + 1), Some(Token::Word(unit)) if OF_THE_MACHINE.contains(unit));
        match (&part[at], found) {
            (Token::Number(_), Token::Number(_)) if is_of_the_machine => false,
            (Token::Number(a), Token::Number(b)) => {
                (a - b).abs() > SHARE * a.abs().max(b.abs()) + BESIDE
            }
            (a, b) => a != b,
        }
    })
}

fn shown(token: &Token<'_>) -> String {
    match token {
        Token::Any => "…".into(),
        Token::Number(number) => number.to_string(),
        Token::Word(word) => (*word).into(),
    }
}

/// Numbers, and the words between them.
fn tokens(text: &str) -> Vec<Token<'_>> {
    text.split_whitespace().flat_map(of_word).collect()
}

fn of_word(word: &str) -> Vec<Token<'_>> {
    if word == "…" {
        return vec![Token::Any];
    }
    let (mut tokens, mut rest) = (Vec::new(), word);
    while !rest.is_empty() {
        let is_digit = |it: char| it.is_ascii_digit();
        let begin = rest.find(is_digit).unwrap_or(rest.len());
        if begin > 0 {
            tokens.push(Token::Word(&rest[..begin]));
        }
        rest = &rest[begin..];
        let end = rest.find(|it: char| !is_digit(it) && it != '.').unwrap_or(rest.len());
        // A point at the end is that of a sentence.
        let number = rest[..end].trim_end_matches('.');
        if !number.is_empty() {
            tokens.push(number.parse().map_or(Token::Word(number), Token::Number));
        }
        rest = &rest[number.len()..];
        if number.is_empty() && begin == 0 {
            let next = rest.chars().next().map_or(0, char::len_utf8);
            tokens.push(Token::Word(&rest[..next]));
            rest = &rest[next..];
        }
    }
    tokens
}

#[test]
fn texts_are_compared_by_words_and_about_by_numbers() {
    let printed = "accuracy  scGPT: 0.952 (0.91–0.98)\n          means: 1.000\nspeed  90.1 cells/s (3.2 s)\noutput  a.h5ad";
    for same in [
        "",
        "accuracy scGPT: 0.950 (0.910–0.990) means: 1.0",
        "accuracy\n…\nspeed  500 cells/s (17.0 s)\noutput  a.h5ad",
        "…\noutput  a.h5ad",
    ] {
        assert_eq!(first_difference(same, printed), None, "{same}");
    }
    for (other, part) in [
        ("accuracy scGPT: 0.5", "`0.5` is not printed after `accuracy scGPT:`"),
        ("output  b.h5ad", "`b.h`"),
        ("output  a.h5ad\n…\naccuracy", "`accuracy`"),
        ("output  a.h5ad more", "`more`"),
    ] {
        let difference = first_difference(other, printed).unwrap();
        assert!(difference.contains(part), "{other}: {difference}");
    }
}
