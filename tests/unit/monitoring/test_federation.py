"""What the Prometheus above several installs takes of them: rules that grow with neither replicas nor streams."""

import re
from pathlib import Path

import yaml

MONITORING = Path(__file__).parents[3] / "monitoring"


def recorded() -> set[str]:
    found = set()
    for path in (MONITORING / "rules").glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            found |= {rule["record"] for rule in group["rules"] if "record" in rule}
    return found


def test_it_takes_what_is_recorded_of_fleets_groups_and_bundles_and_nothing_of_a_server() -> None:
    (job,) = yaml.safe_load((MONITORING / "federation.yml").read_text())["scrape_configs"]
    (pattern,) = re.findall(r'__name__=~"(.+?)"', " ".join(job["params"]["match[]"]))
    taken = {name for name in recorded() if re.fullmatch(pattern, name)}
    assert {name.partition(":")[0] for name in taken} == {"fleet", "group", "bundle"}
    assert {name.partition(":")[0] for name in recorded() - taken} == {"server"}
    assert job["honor_labels"]
