use super::*;

#[test]
fn the_sample_configs_have_nothing_wrong() {
    for file in ["config/minimal.yaml", "config/full.yaml"] {
        let reading = Reading::of_file(Path::new(file));
        assert_eq!(reading.found.to_string(), "", "{file}");
        assert!(reading.config.is_some(), "{file}");
    }
}
