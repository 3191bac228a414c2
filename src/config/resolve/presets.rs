//! `[headers_presets]`.

use super::super::reader::{Reader, choose};
use crate::identity::Preset;

const KEY: &str = "headers_presets.use";

/// The proxies whose headers are sent.
pub(super) fn header_presets(reader: &mut Reader<'_>) -> Option<Vec<Preset>> {
    let choices = Preset::ALL.map(|preset| (preset.as_str(), preset));
    let mut presets = Vec::new();
    for preset in reader.list(KEY, |text| choose(text, &choices))? {
        if !presets.contains(&preset) {
            presets.push(preset);
        }
    }
    for preset in presets.iter().filter(|preset| preset.tells_users_by_email()) {
        reader.warnings.push(format!(
            "{KEY}: apps of {} tell users apart by e-mail address, which Logto does not verify where it comes from a social \
             connector; they may also check a signature that only {} can make",
            preset.as_str(),
            if *preset == Preset::GoogleIap { "Google" } else { "Cloudflare" },
        ));
    }
    Some(presets)
}
