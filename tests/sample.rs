//! The bundled recording is what its command makes, and as its README says.

use std::fs;
use std::io::Read;
use std::path::Path;

use tapewatch::replay::generate::generate;
use tapewatch::replay::generate::label::LabelKind;
use tapewatch::replay::generate::parameters::Parameters;

#[test]
fn the_sample_is_what_its_command_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("replay/sample");
    let parameters = Parameters {
        seed: 5,
        duration_seconds: 57_600,
        rate: 0.06,
        gap_rate: 0.002,
        duplicate_rate: 0.003,
        conflicting_share: 0.03,
        late_rate: 0.003,
        anomalies_per_hour: 1.0,
        ..Parameters::default()
    };
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    let summary = generate(&parameters, &mut rows, &mut labels).unwrap();

    let packed = fs::read(folder.join("market.jsonl.gz")).unwrap();
    assert!(packed.len() < 400_000);
    let mut bundled = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bundled).unwrap();
    assert!(bundled == rows, "the bundled rows differ from those of the generator");
    let bundled = fs::read(folder.join("market.jsonl.gz.labels.jsonl")).unwrap();
    assert!(bundled == labels, "the bundled labels differ from those of the generator");

    assert_eq!((summary.rows, summary.trades, summary.lost), (17_621, 17_567, 379));
    let count = |kind| summary.labels.get(&kind).copied().unwrap_or(0);
    let counts = [LabelKind::Gap, LabelKind::Duplicate, LabelKind::Conflicting, LabelKind::Late].map(count);
    assert_eq!(counts, [38, 52, 2, 40]);
    // One silence has a label for each of the four symbols.
    assert_eq!((count(LabelKind::Silence), count(LabelKind::Pump)), (60, 24));
}
