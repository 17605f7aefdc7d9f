//! Columns while they grow: cells come one by one, and the type of a column follows from all of them.

use std::fmt;

use polars::prelude::{
    BooleanChunked, BooleanChunkedBuilder, ChunkedBuilder, Float64Chunked, Float64Type, Int64Chunked, Int64Type,
    PlSmallStr, PrimitiveChunkedBuilder, StringChunked, StringChunkedBuilder,
};

use crate::value::{Kind, Value};

/// A cell as a source gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::corpus) enum Cell<'a> {
    /// Text whose type shows only in the whole column, as in a CSV file or a file name.
    Untyped(&'a str),
    /// A value whose type the source knows.
    Typed(Value<'a>),
}

impl<'a> Cell<'a> {
    /// Text that is meant as text.
    pub(in crate::corpus) const fn string(text: &'a str) -> Self {
        Self::Typed(Value::String(text))
    }

    /// Whether there is nothing in the cell; an empty untyped text is nothing.
    pub(super) fn is_null(self) -> bool {
        matches!(self, Self::Untyped("") | Self::Typed(Value::Null))
    }

    /// Whether there is nothing in the cell that could be a name.
    pub(super) fn is_empty(self) -> bool {
        self.is_null() || matches!(self, Self::Typed(Value::String("")))
    }
}

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untyped(text) => f.write_str(text),
            Self::Typed(value) => value.fmt(f),
        }
    }
}

/// A column's cells, all of one type.
#[derive(Debug, Clone)]
pub(super) enum Cells {
    String(StringChunked),
    Int64(Int64Chunked),
    Float64(Float64Chunked),
    Boolean(BooleanChunked),
}

impl Cells {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::String(_) => Kind::String,
            Self::Int64(_) => Kind::Int64,
            Self::Float64(_) => Kind::Float64,
            Self::Boolean(_) => Kind::Boolean,
        }
    }

    pub(super) fn value(&self, row: usize) -> Value<'_> {
        match self {
            Self::String(cells) => cells.get(row).map_or(Value::Null, Value::String),
            Self::Int64(cells) => cells.get(row).map_or(Value::Null, Value::Int64),
            Self::Float64(cells) => cells.get(row).map_or(Value::Null, Value::Float64),
            Self::Boolean(cells) => cells.get(row).map_or(Value::Null, Value::Boolean),
        }
    }
}

/// A number that has not lost its form yet.
#[derive(Debug, Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn text(self) -> String {
        match self {
            Self::Int(number) => Value::Int64(number).to_string(),
            Self::Float(number) => Value::Float64(number).to_string(),
        }
    }
}

/// A column whose type is not known yet.
pub(super) struct GrowingCells {
    name: PlSmallStr,
    len: usize,
    state: State,
}

enum State {
    /// Only nulls so far.
    Nulls,
    /// Untyped texts, and the types that all of them can be read as.
    Untyped(StringChunkedBuilder, Readings),
    Booleans(BooleanChunkedBuilder),
    Numbers(Vec<Option<Number>>),
    Strings(StringChunkedBuilder),
}

/// As what every text of a column can be read.
#[derive(Clone, Copy)]
struct Readings {
    int: bool,
    float: bool,
    boolean: bool,
}

impl Readings {
    const ALL: Self = Self { int: true, float: true, boolean: true };

    fn narrow(&mut self, text: &str) {
        self.int = self.int && as_int(text).is_some();
        self.float = self.float && as_float(text).is_some();
        self.boolean = self.boolean && as_boolean(text).is_some();
    }
}

/// A whole number as a program would write it: `007` and `+7` are codes, not numbers.
pub(super) fn as_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let code = digits.len() > 1 && digits.starts_with('0') || text == "-0";
    if code || !digits.bytes().all(|byte| byte.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// Up to here every whole number is a double as well; a longer one would change.
const EXACT_IN_DOUBLE: u64 = 1 << 53;

/// A finite number in decimal or scientific notation, without a plus sign and with at most one zero before the point.
fn as_float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    if digits.iter().all(u8::is_ascii_digit) {
        return as_int(text).filter(|int| int.unsigned_abs() <= EXACT_IN_DOUBLE).map(|int| int as f64);
    }
    let code = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
    if code || !digits.first().is_some_and(|&byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn as_boolean(text: &str) -> Option<bool> {
    text.parse().ok()
}

impl GrowingCells {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.into(), len: 0, state: State::Nulls }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Cells so far; a row that is not padded yet has none.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds nulls until the column has `len` cells.
    pub(super) fn pad(&mut self, len: usize) {
        while self.len < len {
            match &mut self.state {
                State::Nulls => self.len = len - 1,
                State::Untyped(builder, _) | State::Strings(builder) => builder.append_null(),
                State::Booleans(builder) => builder.append_null(),
                State::Numbers(numbers) => numbers.push(None),
            }
            self.len += 1;
        }
    }

    pub(super) fn push(&mut self, cell: Cell<'_>) {
        if cell.is_null() {
            return self.pad(self.len + 1);
        }
        if matches!(self.state, State::Nulls) {
            let len = std::mem::take(&mut self.len);
            self.state = match cell {
                Cell::Untyped(_) => State::Untyped(self.strings(), Readings::ALL),
                Cell::Typed(Value::Boolean(_)) => State::Booleans(BooleanChunkedBuilder::new(self.name.clone(), len)),
                Cell::Typed(Value::Int64(_) | Value::Float64(_)) => State::Numbers(Vec::with_capacity(len)),
                Cell::Typed(Value::String(_) | Value::Null) => State::Strings(self.strings()),
            };
            self.pad(len);
        }
        match (&mut self.state, cell) {
            (State::Untyped(builder, readings), Cell::Untyped(text)) => {
                readings.narrow(text);
                builder.append_value(text);
            }
            (State::Booleans(builder), Cell::Typed(Value::Boolean(truth))) => builder.append_value(truth),
            (State::Numbers(numbers), Cell::Typed(Value::Int64(number))) => numbers.push(Some(Number::Int(number))),
            (State::Numbers(numbers), Cell::Typed(Value::Float64(number))) => {
                numbers.push(Some(Number::Float(number)));
            }
            (State::Strings(builder), Cell::Untyped(text) | Cell::Typed(Value::String(text))) => {
                builder.append_value(text);
            }
            (_, other) => {
                let mut builder = self.take_strings();
                builder.append_value(other.to_string());
                self.state = State::Strings(builder);
            }
        }
        self.len += 1;
    }

    fn strings(&self) -> StringChunkedBuilder {
        StringChunkedBuilder::new(self.name.clone(), self.len)
    }

    /// The cells so far as text; leaves the column without a state.
    fn take_strings(&mut self) -> StringChunkedBuilder {
        let mut strings = self.strings();
        match std::mem::replace(&mut self.state, State::Nulls) {
            State::Nulls => {}
            State::Untyped(builder, _) | State::Strings(builder) => return builder,
            State::Booleans(builder) => {
                for truth in builder.finish().iter() {
                    strings.append_option(truth.map(|truth| truth.to_string()));
                }
            }
            State::Numbers(numbers) => {
                for number in numbers {
                    strings.append_option(number.map(Number::text));
                }
            }
        }
        strings
    }

    /// The column, of the narrowest type that holds every cell.
    pub(super) fn finish(mut self, len: usize) -> Cells {
        self.pad(len);
        let name = self.name;
        match self.state {
            State::Nulls => {
                let mut strings = StringChunkedBuilder::new(name, len);
                (0..len).for_each(|_| strings.append_null());
                Cells::String(strings.finish())
            }
            State::Untyped(builder, readings) => read_as(readings, name, builder.finish()),
            State::Booleans(builder) => Cells::Boolean(builder.finish()),
            State::Numbers(numbers) => narrowest(name, &numbers),
            State::Strings(builder) => Cells::String(builder.finish()),
        }
    }
}

/// Texts as numbers or truth values, where all of them are.
fn read_as(readings: Readings, name: PlSmallStr, texts: StringChunked) -> Cells {
    if readings.int {
        let mut ints = PrimitiveChunkedBuilder::<Int64Type>::new(name, texts.len());
        texts.iter().for_each(|text| ints.append_option(text.and_then(as_int)));
        Cells::Int64(ints.finish())
    } else if readings.float {
        let mut floats = PrimitiveChunkedBuilder::<Float64Type>::new(name, texts.len());
        texts.iter().for_each(|text| floats.append_option(text.and_then(as_float)));
        Cells::Float64(floats.finish())
    } else if readings.boolean {
        let mut booleans = BooleanChunkedBuilder::new(name, texts.len());
        texts.iter().for_each(|text| booleans.append_option(text.and_then(as_boolean)));
        Cells::Boolean(booleans.finish())
    } else {
        Cells::String(texts)
    }
}

/// Whole numbers where all are, floats otherwise; text where a whole number is too long for a float.
fn narrowest(name: PlSmallStr, numbers: &[Option<Number>]) -> Cells {
    if numbers.iter().flatten().all(|number| matches!(number, Number::Int(_))) {
        let mut ints = PrimitiveChunkedBuilder::<Int64Type>::new(name, numbers.len());
        for number in numbers {
            ints.append_option(match number {
                Some(Number::Int(number)) => Some(*number),
                Some(Number::Float(_)) | None => None,
            });
        }
        return Cells::Int64(ints.finish());
    }
    let is_long = |number: &Number| matches!(number, Number::Int(int) if int.unsigned_abs() > EXACT_IN_DOUBLE);
    if numbers.iter().flatten().any(is_long) {
        let mut strings = StringChunkedBuilder::new(name, numbers.len());
        for number in numbers {
            strings.append_option(number.map(Number::text));
        }
        return Cells::String(strings.finish());
    }
    let mut floats = PrimitiveChunkedBuilder::<Float64Type>::new(name, numbers.len());
    for number in numbers {
        floats.append_option(number.map(|number| match number {
            Number::Int(number) => number as f64,
            Number::Float(number) => number,
        }));
    }
    Cells::Float64(floats.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column<'a>(cells: impl IntoIterator<Item = Cell<'a>>) -> Cells {
        let mut growing = GrowingCells::new("x");
        let mut len = 0;
        for cell in cells {
            growing.push(cell);
            len += 1;
        }
        growing.finish(len + 1)
    }

    fn kind_of(texts: &[&str]) -> Kind {
        column(texts.iter().map(|text| Cell::Untyped(text))).kind()
    }

    #[test]
    fn texts_become_the_narrowest_type_that_holds_all_of_them() {
        assert_eq!(kind_of(&["1", "-20", "", "0"]), Kind::Int64);
        assert_eq!(kind_of(&["1", "2.5", "-1e3"]), Kind::Float64);
        assert_eq!(kind_of(&["true", "", "false"]), Kind::Boolean);
        assert_eq!(kind_of(&["", ""]), Kind::String);
    }

    #[test]
    fn codes_and_words_that_only_look_like_numbers_stay_text() {
        for text in ["007", "+7", "-0", "00.5", "nan", "inf", "1e999", "0x10", "-", "-.", " 1", "True"] {
            assert_eq!(kind_of(&["1", text]), Kind::String, "{text}");
        }
        assert_eq!(kind_of(&["9223372036854775807"]), Kind::Int64);
    }

    #[test]
    fn no_digit_of_a_long_number_is_lost() {
        assert_eq!(kind_of(&["9223372036854775808"]), Kind::String);
        assert_eq!(kind_of(&["9007199254740993", "0.5"]), Kind::String);
        assert_eq!(kind_of(&["9007199254740992", "0.5"]), Kind::Float64);
        let typed = |int| column([Value::Int64(int), Value::Float64(0.5)].map(Cell::Typed));
        assert_eq!(typed(1 << 53).kind(), Kind::Float64);
        assert_eq!(typed((1 << 53) + 1).value(0), Value::String("9007199254740993"));
    }

    #[test]
    fn typed_cells_keep_their_type_and_mixed_ones_become_floats_or_text() {
        let (int, float, truth, text) =
            (Value::Int64(3), Value::Float64(0.5), Value::Boolean(true), Value::String("a"));
        let kind = |values: &[Value<'_>]| column(values.iter().map(|value| Cell::Typed(*value))).kind();
        assert_eq!(kind(&[Value::Null, int]), Kind::Int64);
        assert_eq!(kind(&[int, float]), Kind::Float64);
        assert_eq!(kind(&[truth]), Kind::Boolean);
        assert_eq!(kind(&[int, text]), Kind::String);

        let mixed = column([Value::Null, int, float, text, truth, Value::Null].map(Cell::Typed));
        let texts: Vec<_> = (0..7).map(|row| mixed.value(row)).collect();
        let (null, string) = (Value::Null, Value::String);
        assert_eq!(texts, [null, string("3"), string("0.5"), string("a"), string("true"), null, null]);
    }
}
