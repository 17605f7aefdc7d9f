//! What a run tells while it goes on: a bar on a terminal, lines of text when piped, JSON lines for machines.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::EnvFilter;

use crate::manifest::{Reject, Warning};
use crate::run::Watch;

use super::{count, length};

/// How often a run without a bar tells how far it is.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Rejects that are told one by one; the rest is counted, and all stand in `rejects.jsonl`.
const TOLD_REJECTS: usize = 10;

/// How progress is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Bar,
    Lines,
    Json,
    Quiet,
}

impl Style {
    /// A bar where somebody looks, lines where they are kept.
    pub(super) fn for_stderr() -> Self {
        if io::stderr().is_terminal() { Self::Bar } else { Self::Lines }
    }
}

/// Tells on standard error how far a run is.
pub(super) struct Reporter {
    style: Style,
    bar: ProgressBar,
    state: Mutex<State>,
}

struct State {
    started: Instant,
    last_line: Instant,
    entries: usize,
    entries_done: usize,
    rows: usize,
    /// Seconds of sound that are planned, done (rejects count as planned), and heard to the end: made into rows, or left out
    /// by `keep_if`.
    planned: f64,
    done: f64,
    heard: f64,
    rejects: usize,
    /// Rejects with which something is wrong: what `keep_if` leaves out is only counted.
    faults: usize,
    warnings: usize,
    shards: usize,
}

impl State {
    /// Seconds of sound a second, faulty recordings left aside.
    fn times_real_time(&self) -> f64 {
        self.heard / self.started.elapsed().as_secs_f64().max(1e-3)
    }

    /// The part of the work that is done: by sound where its length is known, else by utterances.
    fn fraction(&self) -> f64 {
        let (done, all) = if self.planned > 0.0 {
            (self.done, self.planned)
        } else {
            (self.entries_done as f64, self.entries as f64)
        };
        if all > 0.0 { (done / all).min(1.0) } else { 1.0 }
    }

    /// Seconds until the end at the speed so far.
    fn seconds_left(&self) -> Option<f64> {
        let fraction = self.fraction();
        (fraction > 0.0).then(|| self.started.elapsed().as_secs_f64() * (1.0 - fraction) / fraction)
    }

    fn line(&self) -> String {
        let left = self.seconds_left().map_or("…".to_owned(), length);
        format!(
            "{} of {} · {}× real time · {} rejects · {left} left",
            length(self.done),
            length(self.planned),
            count(self.times_real_time() as u64),
            count(self.rejects as u64),
        )
    }
}

impl Reporter {
    pub(super) fn new(style: Style) -> Self {
        // The decoders' own talk is left out, unless RUST_LOG asks for it.
        let talk = if style == Style::Quiet { "wavemill=warn" } else { "wavemill=info" };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(talk));
        let log = tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter);
        // A second subscriber in one process is refused, which only tests meet.
        let _ = match style {
            Style::Json => log.json().try_init(),
            Style::Bar | Style::Lines | Style::Quiet => {
                log.without_time().with_target(false).with_ansi(io::stderr().is_terminal()).try_init()
            }
        };
        let target = if style == Style::Bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let now = Instant::now();
        let state = State {
            started: now,
            last_line: now,
            entries: 0,
            entries_done: 0,
            rows: 0,
            planned: 0.0,
            done: 0.0,
            heard: 0.0,
            rejects: 0,
            faults: 0,
            warnings: 0,
            shards: 0,
        };
        Self { style, bar: ProgressBar::with_draw_target(None, target), state: Mutex::new(state) }
    }

    /// Tells what is going on before there is anything to count.
    pub(super) fn say(&self, what: &str) {
        match self.style {
            Style::Bar => {
                self.bar.set_style(
                    ProgressStyle::with_template("{spinner} {msg}")
                        .unwrap_or_else(|_| ProgressStyle::default_spinner()),
                );
                self.bar.set_message(what.to_owned());
                self.bar.enable_steady_tick(Duration::from_millis(100));
            }
            Style::Lines | Style::Json => tracing::info!("{what}"),
            Style::Quiet => {}
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Seconds of sound that were heard to the end; none if no shard was made.
    pub(super) fn heard_seconds(&self) -> Option<f64> {
        let state = self.state();
        (state.shards > 0).then_some(state.heard)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, state: &mut State) {
        state.entries_done += 1;
        match self.style {
            Style::Bar => {
                self.bar.set_position((state.fraction() * BAR_STEPS as f64) as u64);
                self.bar.set_message(state.line());
            }
            Style::Lines | Style::Json if state.last_line.elapsed() >= LINE_EVERY => {
                state.last_line = Instant::now();
                if self.style == Style::Lines {
                    tracing::info!("{}", state.line());
                } else {
                    tracing::info!(
                        hours_done = state.done / 3600.0,
                        hours = state.planned / 3600.0,
                        times_real_time = state.times_real_time(),
                        rows = state.rows,
                        rejects = state.rejects,
                        seconds_left = state.seconds_left(),
                        "progress"
                    );
                }
            }
            Style::Lines | Style::Json | Style::Quiet => {}
        }
    }
}

/// The bar's resolution.
const BAR_STEPS: u64 = 10_000;

impl Watch for Reporter {
    fn start(&self, entries: usize, seconds: f64, shards: usize, shards_done: usize) {
        let mut state = self.state();
        state.started = Instant::now();
        state.last_line = state.started;
        (state.entries, state.planned) = (entries, seconds);
        match self.style {
            Style::Bar => {
                let template = "{wide_bar:.cyan/dim} {percent:>3}%  {msg}";
                let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
                self.bar.disable_steady_tick();
                self.bar.set_style(style.progress_chars("━╸─"));
                self.bar.set_length(BAR_STEPS);
            }
            Style::Lines | Style::Json => {
                tracing::info!(utterances = entries, hours = seconds / 3600.0, shards, shards_done, "started");
            }
            Style::Quiet => {}
        }
    }

    fn entry(&self, planned_seconds: f64, heard_seconds: f64, rows: usize) {
        let mut state = self.state();
        state.rows += rows;
        state.heard += heard_seconds;
        // Of a recording whose length no header told, what was heard counts.
        state.done += if planned_seconds > 0.0 { planned_seconds } else { heard_seconds };
        self.step(&mut state);
    }

    fn warning(&self, warning: &Warning) {
        let mut state = self.state();
        state.warnings += 1;
        if state.warnings > TOLD_REJECTS && self.style != Style::Json {
            return;
        }
        let Warning { id, audio, code, message, .. } = warning;
        let last = state.warnings == TOLD_REJECTS;
        let further = if last { "; further ones are counted, and all will stand in shards/" } else { "" };
        match self.style {
            Style::Bar => self.bar.println(format!("{audio}: {message} [{code}]{further}")),
            Style::Lines => tracing::warn!("{audio}: {message} [{code}]{further}"),
            // `message` is what the event itself is called.
            Style::Json => tracing::warn!(id, audio, code, reason = message, "warning"),
            Style::Quiet => {}
        }
    }

    fn reject(&self, reject: &Reject) {
        let mut state = self.state();
        state.rejects += 1;
        state.faults += usize::from(reject.is_fault());
        if (reject.is_fault() && state.faults <= TOLD_REJECTS) || self.style == Style::Json {
            let Reject { id, audio, stage, code, message, .. } = reject;
            match self.style {
                Style::Bar => self.bar.println(format!("left out {audio}: {stage}: {message} [{code}]")),
                Style::Lines => tracing::warn!("left out {audio}: {stage}: {message} [{code}]"),
                Style::Json => tracing::warn!(id, audio, stage, code, reason = message, "reject"),
                Style::Quiet => {}
            }
            if state.faults == TOLD_REJECTS {
                match self.style {
                    Style::Bar => self.bar.println("further ones are counted; all will stand in rejects.jsonl"),
                    Style::Lines => tracing::warn!("further ones are counted; all will stand in rejects.jsonl"),
                    Style::Json | Style::Quiet => {}
                }
            }
        }
    }

    fn shard(&self, shard: usize) {
        self.state().shards += 1;
        if self.style == Style::Json {
            tracing::info!(shard, "committed");
        }
    }
}
