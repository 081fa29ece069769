//! [`Example`]: a command on a page, and what the page says that it prints.

/// A command and its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Example {
    /// The command line, without the prompt.
    pub(crate) line: String,
    /// What follows, to the next command or the end of the block.
    pub(crate) output: String,
}

impl Example {
    /// The examples of a page: lines after `$` in blocks of `console`. What stands behind `#` is for people.
    pub(crate) fn all(page: &str) -> Vec<Self> {
        let mut examples: Vec<Self> = Vec::new();
        let mut is_inside = false;
        for line in page.lines() {
            match line.strip_prefix("```") {
                Some(kind) => {
                    is_inside = !is_inside && kind == "console";
                    continue;
                }
                None if !is_inside => continue,
                None => {}
            }
            if let Some(command) = line.strip_prefix("$ ") {
                let line = command.split("  #").next().unwrap_or_default().trim().to_owned();
                examples.push(Self { line, output: String::new() });
            } else if let Some(example) = examples.last_mut() {
                example.output.push_str(line);
                example.output.push('\n');
            }
        }
        for example in &mut examples {
            example.output = example.output.trim_end().to_owned();
        }
        examples
    }

    /// The page with what was printed in the place of the output.
    pub(crate) fn with_output(&self, page: &str, printed: &str) -> String {
        if self.output.is_empty() {
            return page.to_owned();
        }
        page.replacen(&self.output, printed.trim_end(), 1)
    }
}

#[test]
fn commands_are_told_from_what_they_print() {
    let page = "a\n```console\n$ scgpt a   # why\n$ scgpt b\nrow  1\n\n$ c\n```\n```sh\n$ d\n```\n";
    let example = |line: &str, output: &str| Example { line: line.into(), output: output.into() };
    let all = Example::all(page);
    assert_eq!(all, [example("scgpt a", ""), example("scgpt b", "row  1"), example("c", "")]);
    assert!(all[1].with_output(page, "row  2\n").contains("$ scgpt b\nrow  2\n\n$ c"));
}
