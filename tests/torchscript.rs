//! Columns that TorchScript modules make: what torch itself makes of the same sound, and the same bytes always. Without libtorch,
//! the reason why there are none.

#[cfg(not(feature = "tch"))]
mod without_libtorch {
    use crate::support::wavemill;

    #[test]
    fn a_pipeline_with_a_module_is_refused_at_its_place() {
        let output = wavemill(&["check", "pipelines/torchscript.yaml"]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        for part in
            ["built without `tch`", "cargo build --features tch", "make libtorch", "torchscript.yaml:", "2 mistakes"]
        {
            assert!(message.contains(part), "`{part}` is not in:\n{message}");
        }
    }
}

#[cfg(feature = "tch")]
mod with_libtorch {
    use std::collections::BTreeMap;
    use std::fs;

    use arrow::array::{Array, AsArray};
    use arrow::datatypes::Int32Type;

    use crate::support::{CorpusTest, assert_same_bytes, fixture, wavemill};

    /// A pipeline with these columns over `${CORPUS}` at 16 kHz.
    fn pipeline(columns: &[(&str, &str)], more: &str) -> String {
        let rows: Vec<String> = columns.iter().map(|(name, rows)| format!("  {name}: [{rows}]\n")).collect();
        let rows = rows.concat();
        format!(
            "version: 1\ncorpus: {{ audio_folder: {{ root: \"${{CORPUS}}\" }} }}\nresample: {{ rate_hz: 16000 }}\nfeaturize:\n{rows}{more}\n"
        )
    }

    fn module(name: &str, settings: &str) -> String {
        format!("torchscript: {{ module: fixtures/torchscript/{name}.pt, rate_hz: 16000{settings} }}")
    }

    const FRAMES: &str = ", lengths: absolute, select: [0], output_lengths: [1]";
    const EMBEDDING: &str =
        ", input: [spectrogram: { n_fft: 256, hop_length: 160, power: 1 }], lengths: relative, output: embedding";

    /// By key, a column's cells: their frames and numbers.
    fn cells(test: &CorpusTest, yaml: &str, rows: u64, column: &str) -> BTreeMap<String, (i32, Vec<f32>)> {
        let mut cells = BTreeMap::new();
        for batch in test.run(yaml, &["--overwrite"]).expect_rows(rows).batches() {
            for row in 0..batch.num_rows() {
                let key = batch.column_by_name("key").unwrap().as_string::<i32>().value(row).to_owned();
                let frames = batch.column_by_name(&format!("{column}_frames")).unwrap();
                let frames = frames.as_primitive::<Int32Type>().value(row);
                let bytes = batch.column_by_name(column).unwrap().as_binary::<i64>();
                assert!(bytes.is_valid(row));
                cells.insert(key, (frames, numbers(bytes.value(row))));
            }
        }
        cells
    }

    fn numbers(bytes: &[u8]) -> Vec<f32> {
        bytes.chunks_exact(4).map(|number| f32::from_le_bytes(number.try_into().unwrap())).collect()
    }

    fn assert_near(one: &[f32], other: &[f32], what: &str) {
        assert_eq!(one.len(), other.len(), "{what}");
        let furthest = one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        assert!(furthest <= 1e-5, "{what}: {furthest} apart");
    }

    #[test]
    fn cells_are_what_torch_makes_of_the_same_recordings() {
        let test = CorpusTest::on(&["corpus/alba-01.flac", "corpus/noah-01.wav"]);
        let columns = [
            ("frames", module("frames", FRAMES)),
            ("embedding", module("embedding", EMBEDDING)),
            ("activity", module("activity", ", output: values, unit: probability")),
            ("likely", module("activity", ", output: values, method: outputs, select: [1]")),
        ];
        let columns: Vec<(&str, &str)> = columns.iter().map(|(name, rows)| (*name, rows.as_str())).collect();
        for (column, reference, bins) in [
            ("frames", "frames", 16),
            ("embedding", "embedding", 24),
            ("activity", "activity", 1),
            ("likely", "activity", 1),
        ] {
            for (key, (frames, values)) in cells(&test, &pipeline(&columns, ""), 2, column) {
                let expected = numbers(&fs::read(fixture(&format!("torchscript/{reference}-{key}.f32"))).unwrap());
                assert_eq!(frames as usize * bins, expected.len(), "{column} of {key}");
                assert_near(&values, &expected, &format!("{column} of {key}"));
            }
        }
        let manifest = test.run(&pipeline(&columns, ""), &["--overwrite"]).expect_rows(2).manifest();
        assert_eq!(manifest.engines["libtorch"], "2.13.0");
        let probe = &manifest.pipeline["featurize"]["frames"][0]["torchscript"]["probe"];
        let hash = blake3::hash(&fs::read(fixture("torchscript/frames.pt")).unwrap()).to_hex().to_string();
        assert_eq!((probe["blake3"].as_str(), probe["bins"].as_u64()), (Some(hash.as_str()), Some(16)));
        let verify = wavemill(&["verify"]).arg(test.out()).output().unwrap();
        assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
    }

    #[test]
    fn libtorch_is_no_engine_of_a_dataset_without_modules() {
        let test = CorpusTest::on(&["corpus/alba-01.flac"]);
        let manifest = test.run(&crate::support::fbank_pipeline(""), &[]).expect_rows(1).manifest();
        assert!(!manifest.engines.contains_key("libtorch"), "{:?}", manifest.engines);
    }

    #[test]
    fn a_padded_batch_comes_to_what_its_utterances_do_one_by_one() {
        let test = CorpusTest::on_sample();
        for (name, settings) in [("frames", FRAMES), ("embedding", EMBEDDING)] {
            let of_batch = |batch: u32| {
                let row = module(name, &format!("{settings}, batch: {batch}"));
                cells(&test, &pipeline(&[("column", &row)], ""), 12, "column")
            };
            let (alone, together) = (of_batch(1), of_batch(12));
            for (key, (frames, values)) in &alone {
                assert_eq!(*frames, together[key].0, "{name} of {key}");
                assert_near(values, &together[key].1, &format!("{name} of {key}"));
            }
        }
    }

    #[test]
    fn transforms_follow_a_module_as_they_follow_any_extractor() {
        let test = CorpusTest::on(&["corpus/alba-01.flac", "corpus/noah-01.wav"]);
        let rows = format!("{}, stack_frames: {{ stack: 2, stride: 2 }}, cmvn: {{}}", module("frames", FRAMES));
        for (key, (frames, values)) in cells(&test, &pipeline(&[("column", &rows)], ""), 2, "column") {
            let plain = fs::metadata(fixture(&format!("torchscript/frames-{key}.f32"))).unwrap().len() as usize / 64;
            assert_eq!((frames as usize, values.len()), (plain.div_ceil(2), plain.div_ceil(2) * 32), "{key}");
            let mean = values.iter().step_by(32).sum::<f32>() / frames as f32;
            assert!(mean.abs() < 1e-5, "{key}: {mean}");
        }
    }

    /// Small shards and windows with rows of every kind: segments, augmented copies, all in batches of three.
    fn varied() -> String {
        let (frames, embedding) = (module("frames", &format!("{FRAMES}, batch: 3")), module("embedding", EMBEDDING));
        let columns = [("frames", frames.as_str()), ("embedding", embedding.as_str()), ("waveform", "waveform: {}")];
        pipeline(
            &columns,
            "segment: [window: { length_s: 1.5, hop_s: 1.3 }]\naugment: { copies: 2, chain: [gain: { gain_db: [-12, 0] }, add_gaussian_snr: {}] }\nwrite: { parquet: { shard_mib: 1, row_group_mib: 1 } }",
        )
    }

    #[test]
    fn any_threads_and_any_workers_give_the_same_bytes() {
        let one = CorpusTest::on_sample();
        let first = one.run(&varied(), &["--threads", "1"]).expect_code(0).manifest();
        assert!(
            first.shards.len() >= 3 && first.totals.rows > 60,
            "{} rows in {}",
            first.totals.rows,
            first.shards.len()
        );
        for threads in ["2", "5"] {
            let other = CorpusTest::on_sample();
            other.run(&varied(), &["--threads", threads]).expect_code(0);
            assert_same_bytes(&one.out(), &other.out());
        }
        let parts = CorpusTest::on_sample();
        for worker in ["1/2", "0/2"] {
            parts.run(&varied(), &["--worker", worker]).expect_code(0);
        }
        assert!(wavemill(&["commit"]).arg(parts.out()).status().unwrap().success());
        assert_same_bytes(&one.out(), &parts.out());
        // A run that was interrupted is one that finds some shards there.
        let broken_off = CorpusTest::on_sample();
        broken_off.run(&varied(), &["--worker", "1/2"]).expect_code(0);
        broken_off.run(&varied(), &[]).expect_code(0);
        assert_same_bytes(&one.out(), &broken_off.out());
    }

    #[test]
    fn a_row_is_made_again_byte_for_byte() {
        let test = CorpusTest::on_sample();
        test.run(&varied(), &[]).expect_code(0);
        let corpus = format!("CORPUS={}", test.corpus().display());
        for key in ["alba-01@0", "noah-02@1~2", "greta-03@0~1"] {
            let replay = wavemill(&["replay"]).arg(test.out()).args([key, "--var", &corpus]).output().unwrap();
            let told = String::from_utf8_lossy(&replay.stdout).into_owned() + &String::from_utf8_lossy(&replay.stderr);
            assert!(replay.status.success() && told.contains("byte for byte"), "{key}: {told}");
        }
        let shown = wavemill(&["inspect"]).arg(test.out()).arg("alba-01@0").output().unwrap();
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    }

    #[test]
    fn an_utterance_for_which_the_module_fails_is_a_reject_and_its_batch_goes_on() {
        let tone = |level: f32| -> Vec<f32> { (0..16_000).map(|n| level * (n as f32 * 0.05).sin()).collect() };
        let test = CorpusTest::on(&[]);
        for (name, level) in [("a", 0.5), ("b-loud", 0.95), ("c", 0.25), ("d-quiet", 0.005), ("e", 0.75)] {
            test.add_wav(&format!("{name}.wav"), 16_000, 1, &tone(level));
        }
        let yaml = pipeline(&[("peak", &module("picky", ", output: embedding"))], "load: { max_reject_fraction: 0.5 }");
        let made = cells(&test, &yaml, 3, "peak");
        for (key, peak) in [("a", 0.5), ("c", 0.25), ("e", 0.75)] {
            assert!((made[key].1[0] - peak).abs() < 1e-3 && made[key].0 == 1, "{key}: {:?}", made[key]);
        }
        let outcome = test
            .run(&yaml, &[])
            .expect_rows(3)
            .expect_rejected("b-loud.wav", "featurize.peak", "module_failed")
            .expect_rejected("d-quiet.wav", "featurize.peak", "not_finite");
        let loud = outcome.rejects().into_iter().find(|reject| reject.id == "b-loud").unwrap();
        assert!(loud.message.contains("the sound is too loud") && !loud.message.contains('\n'), "{}", loud.message);
        let verify = wavemill(&["verify"]).arg(test.out()).output().unwrap();
        assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
        // Each of several segments is judged by itself.
        let mut half = tone(0.5);
        half.extend(tone(0.95));
        test.add_wav("f-half.wav", 16_000, 1, &half);
        let segments = format!("{yaml}\nsegment: [window: {{ length_s: 1, remainder: drop }}]\n");
        let outcome = test.run(&segments, &["--overwrite"]).expect_rows(4);
        let segment = outcome.rejects().into_iter().find(|reject| reject.id == "f-half").unwrap();
        assert_eq!((segment.segment, segment.code.as_str()), (Some(1), "module_failed"));
    }

    #[test]
    fn every_channel_goes_through_the_module() {
        let test = CorpusTest::on(&[]);
        let stereo: Vec<f32> =
            (0..8_000).flat_map(|n| [0.5 * (n as f32 * 0.1).sin(), 0.25 * (n as f32 * 0.1).sin()]).collect();
        test.add_wav("stereo.wav", 16_000, 2, &stereo);
        let yaml = pipeline(&[("peak", &module("picky", ", output: embedding"))], "load: { channels: keep }");
        let made = cells(&test, &yaml, 1, "peak");
        let (frames, values) = &made["stereo"];
        assert!(*frames == 1 && values.len() == 4, "{values:?}");
        assert!((values[0] - 0.5).abs() < 1e-3 && (values[2] - 0.25).abs() < 1e-3, "{values:?}");
    }

    #[test]
    fn another_module_under_the_same_name_is_another_plan() {
        let test = CorpusTest::on(&["corpus/alba-01.flac"]);
        let row = "torchscript: { module: \"${MODULE}\", rate_hz: 16000, output: values, batch: 1 }";
        let yaml = pipeline(&[("column", row)], "");
        let module = test.folder_file("module.pt", "");
        let variable = format!("MODULE={}", module.display());
        fs::copy(fixture("torchscript/activity.pt"), &module).unwrap();
        let first = test.run(&yaml, &["--var", &variable]).expect_rows(1).manifest();
        assert!(!first.pipeline.to_string().contains(&module.display().to_string()));
        fs::copy(fixture("torchscript/fixed.pt"), &module).unwrap();
        test.run(&yaml, &["--var", &variable]).expect_code(5).expect_message("probe.blake3");
    }

    #[test]
    fn check_shows_the_columns_shape_and_says_what_is_wrong_with_a_module() {
        let check = |rows: &str| {
            let test = CorpusTest::on(&[]);
            let file = test.pipeline(&pipeline(&[("column", rows)], ""));
            let output = wavemill(&["check", file.to_str().unwrap(), "--var", "CORPUS=x"]).output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            (output.status.code(), told)
        };
        let (code, told) = check(&module("frames", FRAMES));
        assert!(code == Some(0) && told.contains("[frames, 16]") && told.contains("20 ms"), "{told}");
        let (code, told) = check(&module("embedding", EMBEDDING));
        assert!(code == Some(0) && told.contains("[frames, 24]"), "{told}");
        for (rows, parts) in [
            (module("none", ""), ["fixtures/torchscript/none.pt cannot be read", "No such file"]),
            (module("weights", ""), ["weights.pt is no TorchScript module", "torch.jit.save"]),
            (module("frames-alba-01", "").replace(".pt", ".f32"), ["is no TorchScript module", "torch.jit.save"]),
            (module("frames", ""), ["the module fails for 1 s of noise", "lengths"]),
            (module("frames", ", lengths: absolute"), ["something else than one tensor", "`select`"]),
            (module("frames", ", lengths: absolute, select: [2]"), ["a tuple of 2", "`select`"]),
            (module("frames", ", lengths: absolute, select: [0], output: values"), ["[1, 49, 16]", "[batch, frames]"]),
            (module("frames", ", lengths: absolute, select: [0], method: encode"), ["encode", "not defined"]),
            (module("activity", ""), ["[batch, frames, bins]", "`input`, `lengths`"]),
            (
                module("activity", ", input: [kaldi_fbank: {}], output: values"),
                ["the module fails for 1 s of noise", ""],
            ),
            (module("random", ", output: embedding"), ["other numbers for the same sound each time", "evaluation"]),
            (module("fixed", ", output: values"), ["other numbers for a batch of two", "`batch: 1`"]),
            (module("picky", ", output: embedding, device: cuda"), ["there is no device `cuda` here", "`cpu`"]),
            (module("picky", ", output: embedding, batch: 0"), ["`batch`", ""]),
            (
                module("picky", ", output: embedding").replace("16000", "8000"),
                ["defined for sound at 8000 Hz", "resample.rate_hz"],
            ),
            (
                module("picky", ", output: embedding, input: [torchscript: { module: a.pt, rate_hz: 8000 }]"),
                ["not made by another", ""],
            ),
            (module("frames", ", output_lengths: [1], select: [0]"), ["told the `lengths`", ""]),
        ] {
            let (code, told) = check(&rows);
            assert_eq!(code, Some(2), "{rows}: {told}");
            for part in parts {
                assert!(told.contains(part), "`{part}` is not said of {rows}:\n{told}");
            }
            assert!(!told.contains("frame #"), "{told}");
        }
    }

    #[test]
    fn a_module_that_is_pinned_must_be_that_one() {
        let test = CorpusTest::on(&["corpus/alba-01.flac"]);
        let yaml = pipeline(&[("column", &module("frames", FRAMES))], "");
        let manifest = test.run(&yaml, &[]).expect_rows(1).manifest();
        let probe = manifest.pipeline["featurize"]["column"][0]["torchscript"]["probe"].to_string();
        let pinned = |probe: &str| pipeline(&[("column", &module("frames", &format!("{FRAMES}, probe: {probe}")))], "");
        test.run(&pinned(&probe), &[]).expect_rows(1);
        let other = probe.replacen("\"blake3\":\"", "\"blake3\":\"0", 1);
        test.run(&pinned(&other), &[]).expect_code(2).expect_message("is not the module that `probe` describes");
    }
}
