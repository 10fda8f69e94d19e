//! The shape of a script after parsing.

use std::sync::Arc;

/// Commands one after another.
pub(super) type List = Vec<Arc<AndOr>>;

/// Pipelines joined by `&&` and `||`.
#[derive(Debug)]
pub(super) struct AndOr {
    pub(super) first: Pipeline,
    pub(super) rest: Vec<(Joint, Pipeline)>,
    /// Whether `&` follows: the script goes on beside it.
    pub(super) background: bool,
}

/// What joins two pipelines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    And,
    Or,
}

/// Commands joined by `|`.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) negated: bool,
    pub(super) commands: Vec<Command>,
}

#[derive(Debug)]
pub(super) struct Command {
    pub(super) body: Body,
    pub(super) redirects: Vec<Redirect>,
}

#[derive(Debug)]
pub(super) enum Body {
    Simple {
        assignments: Vec<(String, Word)>,
        words: Vec<Word>,
    },
    Group(List),
    Subshell(List),
    If {
        branches: Vec<(List, List)>,
        otherwise: Option<List>,
    },
    For {
        variable: String,
        words: Option<Vec<Word>>,
        body: List,
    },
    While {
        condition: List,
        until: bool,
        body: List,
    },
    Case {
        word: Word,
        arms: Vec<(Vec<Word>, List)>,
    },
    /// `size` is that of its text, in characters.
    Function {
        name: String,
        body: Arc<Command>,
        size: usize,
    },
}

/// A redirection of a file descriptor.
#[derive(Debug)]
pub(super) struct Redirect {
    pub(super) fd: u8,
    pub(super) target: Target,
}

/// Where a redirection leads.
#[derive(Debug)]
pub(super) enum Target {
    Read(Word),
    Write(Word),
    Append(Word),
    Duplicate(Word),
    Here(Word),
}

/// A word: parts that stand side by side.
#[derive(Debug, Clone, Default)]
pub(super) struct Word(pub(super) Vec<Part>);

#[derive(Debug, Clone)]
pub(super) enum Part {
    /// Text as it is; globs and tildes in it mean something unless it is quoted.
    Text { text: String, quoted: bool },
    /// A parameter; unquoted, its value is split into fields.
    Parameter { name: String, change: Option<Change>, quoted: bool },
    /// `${#name}`.
    Length { name: String },
    /// `$(…)`.
    Command { list: Arc<List>, quoted: bool },
    /// `$((…))`.
    Arithmetic { word: Word },
}

/// What an expansion of a parameter does with its value.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) operator: Operator,
    /// Whether an empty value counts as unset.
    pub(super) colon: bool,
    pub(super) word: Word,
}

/// The operator in `${name OP word}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Default,
    Assign,
    Error,
    Alternative,
    ShortestPrefix,
    LongestPrefix,
    ShortestSuffix,
    LongestSuffix,
}
