//! Random programs that are accepted by the checker and end by themselves.

/// Dice with a seed: the same programs in every run.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).unwrap()
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// What an expression is meant to be; one in a while is something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Float,
    Text,
    Truth,
    List,
    Dict,
}

const KINDS: [Kind; 6] = [Kind::Int, Kind::Float, Kind::Text, Kind::Truth, Kind::List, Kind::Dict];

/// A jobflow being written.
struct Writer<'d> {
    dice: &'d mut Dice,
    /// Variables that are certainly assigned.
    known: Vec<(String, Kind)>,
    /// Counters of loops, which nothing else writes.
    counters: usize,
    /// How many jobs there may still be.
    room: usize,
    loops: usize,
    callee: bool,
}

/// A program and the jobflow `/t/f` that it may call.
pub(super) fn program(dice: &mut Dice) -> (String, String) {
    let mut callee = Writer::new(dice, 8, true);
    callee.known = vec![("a".into(), Kind::Int), ("b".into(), Kind::Text)];
    let callee = format!("|a| |b = 'b$a'|\n{}", callee.flow(2));
    let mut main = Writer::new(dice, 24, false);
    let main = main.flow(4);
    (main, callee)
}

impl<'d> Writer<'d> {
    fn new(dice: &'d mut Dice, room: usize, callee: bool) -> Self {
        Self { dice, known: Vec::new(), counters: 0, room, loops: 0, callee }
    }

    fn flow(&mut self, depth: usize) -> String {
        let count = 1 + self.dice.below(5);
        let mut text = String::new();
        for number in 0..count {
            if number > 0 {
                text.push_str(self.dice.pick(&[" -> ", " -> ", " => ", " =>> ", " ->> ", "\n-> "]));
            }
            text.push_str(&self.job(depth));
        }
        text
    }

    /// A flow whose assignments nobody behind it relies on.
    fn inner(&mut self, depth: usize) -> String {
        let known = self.known.clone();
        let text = self.flow(depth.saturating_sub(1));
        self.known = known;
        text
    }

    fn any_kind(&mut self) -> Kind {
        KINDS[self.dice.below(KINDS.len())]
    }

    fn some(&mut self, depth: usize) -> String {
        let kind = self.any_kind();
        self.value(kind, depth)
    }

    fn variable(&mut self, kind: Kind) -> Option<String> {
        let fit: Vec<&String> =
            self.known.iter().filter(|known| known.1 == kind).map(|known| &known.0).collect();
        if fit.is_empty() { None } else { Some(fit[self.dice.below(fit.len())].clone()) }
    }

    fn job(&mut self, depth: usize) -> String {
        self.room = self.room.saturating_sub(1);
        if self.room == 0 || depth == 0 {
            return match self.dice.below(4) {
                0 => "[]".into(),
                1 => self.assign(),
                _ => format!("print({})", self.some(1)),
            };
        }
        match self.dice.below(24) {
            0 => "[]".into(),
            1..=4 => self.assign(),
            5..=8 => format!("print({}, {}, $STATUS)", self.some(2), self.some(1)),
            9 => format!("print($STATUS, $RESULT, $ERROR{})", self.dice.pick(&["", ", $DEBUG"])),
            10 => self.update(),
            11 => self.method(),
            12 => format!(
                "{}({})",
                self.dice.pick(&["length", "string", "type", "int"]),
                self.some(2)
            ),
            13..=14 => self.if_block(depth),
            15 => self.case_block(depth),
            16..=17 => self.loop_block(depth),
            18 => format!("{{ try | {} }}", self.inner(depth)),
            19 => {
                let known = self.known.clone();
                let kind = self.any_kind();
                let name = ["x", "y", "z"][self.dice.below(3)].to_owned();
                let value = self.value(kind, 2);
                self.known.retain(|known| known.0 != name);
                self.known.push((name.clone(), kind));
                let text = format!("{{ {name} = {value} | {} }}", self.flow(depth - 1));
                self.known = known;
                text
            }
            20 if !self.callee => match self.dice.below(3) {
                0 => format!("[./f: {}]", self.value(Kind::Int, 2)),
                1 => {
                    format!("[./f: {}, b={}]", self.value(Kind::Int, 1), self.value(Kind::Text, 1))
                }
                _ => format!("[./f: *[{}]]", self.value(Kind::Int, 1)),
            },
            20 => match self.dice.below(3) {
                0 => format!("return({})", self.some(2)),
                1 => format!("return({}, status={})", self.some(1), self.dice.below(3)),
                _ => format!("return(error={})", self.value(Kind::Text, 1)),
            },
            21 => format!("assert({}, {})", self.value(Kind::Truth, 2), self.value(Kind::Text, 1)),
            22 if self.loops > 0 => {
                let stop = self.dice.pick(&["break", "continue"]);
                format!("{{ if {} | {stop} }}", self.value(Kind::Truth, 2))
            }
            22 => format!("abort({})", self.value(Kind::Text, 1)),
            _ => format!("{{ {} }}", self.inner(depth)),
        }
    }

    fn assign(&mut self) -> String {
        let kind = self.any_kind();
        let name = ["p", "q", "r", "s", "t"][self.dice.below(5)].to_owned();
        let value = self.value(kind, 3);
        self.known.retain(|known| known.0 != name);
        self.known.push((name.clone(), kind));
        format!("[{name} = {value}]")
    }

    fn update(&mut self) -> String {
        let value = self.some(2);
        if let Some(name) = self.variable(Kind::List)
            && self.dice.one_in(2)
        {
            return format!("[{value} >> {name}[{}]]", self.value(Kind::Int, 1));
        }
        if let Some(name) = self.variable(Kind::Dict) {
            return match self.dice.below(2) {
                0 => format!("[{value} >> {name}.k]"),
                _ => format!("[{value} >> {name}[{}]]", self.value(Kind::Text, 1)),
            };
        }
        format!("[{value} >> u]")
    }

    fn method(&mut self) -> String {
        if let Some(name) = self.variable(Kind::List)
            && self.dice.one_in(2)
        {
            return match self.dice.below(3) {
                0 => format!("[{name}.add_item: {}]", self.some(2)),
                1 => format!("[{name}.pop_item]"),
                _ => format!("[{name}.del_item: {}]", self.value(Kind::Int, 1)),
            };
        }
        if let Some(name) = self.variable(Kind::Dict) {
            return match self.dice.below(3) {
                0 => format!("[{name}.get_keys]"),
                1 => format!("[{name}.get_item: {}]", self.value(Kind::Text, 1)),
                _ => format!("[{name}.pop_item: 'k', {}]", self.some(1)),
            };
        }
        "[]".into()
    }

    fn if_block(&mut self, depth: usize) -> String {
        let condition = if self.dice.one_in(6) { String::new() } else { self.some(2) };
        match self.dice.below(3) {
            0 => format!("{{ if {condition} | {} }}", self.inner(depth)),
            1 => format!(
                "{{ if {condition} | then: {} else: {} }}",
                self.inner(depth),
                self.inner(depth)
            ),
            _ => format!(
                "{{ if {condition} | then: {} elif {}: {} else: {} }}",
                self.inner(depth),
                self.value(Kind::Truth, 2),
                self.inner(depth),
                self.inner(depth)
            ),
        }
    }

    fn case_block(&mut self, depth: usize) -> String {
        let subject = if self.dice.one_in(4) { String::new() } else { self.some(1) };
        let mut text = format!("{{ case {subject} | ");
        for _ in 0..=self.dice.below(2) {
            let pattern = match self.dice.below(3) {
                0 => self.dice.pick(&["'*b'", "'?'", "'a*'", "'**'"]).to_owned(),
                1 => format!("{}, {}", self.some(1), self.some(1)),
                _ => self.some(1),
            };
            text.push_str(&format!("{pattern}: {} ", self.inner(depth)));
        }
        if self.dice.one_in(2) {
            text.push_str(&format!("else: {} ", self.inner(depth)));
        }
        text + "}"
    }

    fn loop_block(&mut self, depth: usize) -> String {
        let known = self.known.clone();
        self.loops += 1;
        let text = if self.dice.one_in(3) {
            self.counters += 1;
            let counter = format!("n{}", self.counters);
            let rounds = self.dice.below(4);
            self.known.push((counter.clone(), Kind::Int));
            let more =
                if self.dice.one_in(3) { format!(" and {}", self.some(1)) } else { String::new() };
            let body = self.flow(depth - 1);
            format!(
                "{{ {counter} = 0 | {{ while {counter} < {rounds}{more} | [{counter} = {counter} + 1] -> {body} }} }}"
            )
        } else {
            let (over, kind) = match self.dice.below(8) {
                0..=2 => (self.dice.below(4).to_string(), Kind::Int),
                3 => (
                    format!("[{}, {}]", self.value(Kind::Int, 1), self.value(Kind::Int, 1)),
                    Kind::Int,
                ),
                4 => ("'xyz'".into(), Kind::Text),
                5 => (format!("{{k={}, l=2}}", self.some(1)), Kind::Text),
                6 => (self.value(Kind::List, 1), Kind::Int),
                _ => (self.some(1), Kind::Text),
            };
            let variable = ["v", "w"][self.dice.below(2)];
            self.known.retain(|known| known.0 != variable);
            self.known.push((variable.into(), kind));
            let body = self.flow(depth - 1);
            format!("{{ for {variable} in {over} | {body} }}")
        };
        self.loops -= 1;
        self.known = known;
        text
    }

    /// An expression.
    fn value(&mut self, kind: Kind, depth: usize) -> String {
        if self.dice.one_in(40) {
            return self
                .dice
                .pick(&["null", "'odd'", "7", "[]", "{}", "true", "$RESULT", "1.5"])
                .into();
        }
        if self.dice.one_in(3)
            && let Some(name) = self.variable(kind)
        {
            return name;
        }
        let leaf = depth == 0 || self.dice.one_in(3);
        let deep = depth.saturating_sub(1);
        match kind {
            Kind::Int if leaf => match self.dice.below(12) {
                0 => "9223372036854775807".into(),
                1 => "$STATUS".into(),
                _ => self.dice.below(6).to_string(),
            },
            Kind::Int => match self.dice.below(8) {
                0 => format!("-{}", self.value(kind, deep)),
                1 => format!("length({})", self.value(Kind::List, deep)),
                2 => format!("({} % {})", self.value(kind, deep), self.value(kind, deep)),
                3 => format!("({} or {})", self.value(kind, deep), self.value(kind, deep)),
                4 => format!("({} * {})", self.value(kind, deep), self.dice.below(4)),
                5 => format!(
                    "int({})",
                    self.dice.pick(&["'42'", "' 7 '", "2.9", "-2.9", "3", "'x'"])
                ),
                6 => format!("[{}, 8][{}]", self.value(kind, deep), self.value(kind, 0)),
                _ => {
                    let sign = self.dice.pick(&["+", "-"]);
                    format!("({} {sign} {})", self.value(kind, deep), self.value(kind, deep))
                }
            },
            Kind::Float if leaf => self
                .dice
                .pick(&["0.5", "2.0", "1.5e20", "0.0", "3.25", "1.0e-7", "1234567.5"])
                .into(),
            Kind::Float => match self.dice.below(4) {
                0 => format!("({} / {})", self.value(Kind::Int, deep), self.value(Kind::Int, deep)),
                1 => format!("({} * {})", self.value(kind, deep), self.value(Kind::Int, deep)),
                2 => format!("({} - {})", self.value(Kind::Int, deep), self.value(kind, deep)),
                _ => format!("({} + {})", self.value(kind, deep), self.value(kind, deep)),
            },
            Kind::Text if leaf => self
                .dice
                .pick(&[
                    "'a'",
                    "''",
                    "'b c'",
                    "'$p'",
                    "'<${q}>'",
                    "\"it's\"",
                    "'tab\\t'",
                    "'日本'",
                    "'${$STATUS}'",
                    "'$v-$w'",
                    "'42'",
                ])
                .into(),
            Kind::Text => match self.dice.below(6) {
                0 => format!("string({})", self.some(deep)),
                1 => format!("type({})", self.some(deep)),
                2 => format!("({} * {})", self.value(kind, deep), self.dice.below(3)),
                3 => format!("({} and {})", self.value(kind, deep), self.value(kind, deep)),
                4 => format!("({}).k", self.value(Kind::Dict, deep)),
                _ => format!("({} + {})", self.value(kind, deep), self.value(kind, deep)),
            },
            Kind::Truth if leaf => self.dice.pick(&["true", "false"]).into(),
            Kind::Truth => match self.dice.below(8) {
                0 => format!("(not {})", self.some(deep)),
                1 => format!("({} in {})", self.some(deep), self.value(Kind::List, deep)),
                2 => format!(
                    "({} not in {})",
                    self.value(Kind::Text, deep),
                    self.value(Kind::Dict, deep)
                ),
                3 => format!(
                    "({} in {})",
                    self.value(Kind::Text, deep),
                    self.value(Kind::Text, deep)
                ),
                4 => {
                    let op = self.dice.pick(&["==", "!="]);
                    format!("({} {op} {})", self.some(deep), self.some(deep))
                }
                5 => format!(
                    "({} < {} <= {})",
                    self.value(Kind::Int, deep),
                    self.value(Kind::Int, deep),
                    self.value(Kind::Float, deep)
                ),
                6 => {
                    let op = self.dice.pick(&["<", ">", "<=", ">="]);
                    let kind = self.any_kind();
                    format!("({} {op} {})", self.value(kind, deep), self.value(kind, deep))
                }
                _ => format!("({} and {})", self.value(kind, deep), self.value(kind, deep)),
            },
            Kind::List if leaf => {
                self.dice.pick(&["[]", "[1, 2, 3]", "['a', [true, null]]"]).into()
            }
            Kind::List => match self.dice.below(4) {
                0 => format!("({} + {})", self.value(kind, deep), self.value(kind, deep)),
                1 => format!("({} * {})", self.value(kind, deep), self.dice.below(3)),
                _ => format!("[{}, {}]", self.some(deep), self.some(deep)),
            },
            Kind::Dict if leaf => self.dice.pick(&["{}", "{k='v'}", "{'k': 1, 2: 'two'}"]).into(),
            Kind::Dict => match self.dice.below(3) {
                0 => format!("{{k={}, l={}}}", self.some(deep), self.some(deep)),
                _ => format!("{{'k': {}, {}: 3}}", self.some(deep), self.value(Kind::Int, deep)),
            },
        }
    }
}
