from decimal import Decimal
from pathlib import Path

import pytest

from slowmo_pipeline.endpoint.prices import (
    check_speed,
    cost_of,
    estimate,
    idle_seconds,
    known_price,
    packaged_prices,
    price_per_hour,
    read_prices,
)
from slowmo_pipeline.errors import SettingsError

G5 = Decimal("1.408")


def prices_file(folder: Path, text: str) -> Path:
    path = folder / "prices.json"
    path.write_text(text)
    return path


def test_the_packaged_prices_name_their_region_their_date_and_where_to_check_them() -> None:
    table = packaged_prices()
    assert table.origin == "us-east-1, 2025-12"
    assert "list prices" in table.note
    assert "https://aws.amazon.com/" in table.note


def test_a_price_is_exact_and_an_unknown_type_has_none() -> None:
    assert price_per_hour("ml.g5.xlarge") == G5
    assert price_per_hour("ml.p9.xlarge") is None


def test_a_table_of_ones_own_is_used_instead_of_the_packaged_one(tmp_path: Path) -> None:
    path = prices_file(tmp_path, '{"region": "eu-west-1", "as_of": "2026-01-31", "usd_per_hour": {"ml.x": 2.1}}')
    table = read_prices(path)
    assert price_per_hour("ml.x", table=table) == Decimal("2.1")
    assert price_per_hour("ml.g5.xlarge", table=table) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "Invalid JSON"),
        ("[]", "should be an object"),
        ("{}", "region = {}: Field required"),
        ('{"region": "r", "as_of": "today", "usd_per_hour": {}}', "as_of = 'today'"),
        ('{"region": "r", "as_of": "2026-01", "usd_per_hour": {"ml.x": -1}}', "usd_per_hour ml.x = -1"),
        ('{"region": "r", "as_of": "2026-01", "usd_per_hour": {"ml.x": NaN}}', "usd_per_hour ml.x = nan"),
        ('{"region": "r", "as_of": "2026-01", "usd_per_hour": {}, "price": 1}', "price = 1"),
    ],
)
def test_a_table_that_is_none_is_refused_with_what_is_wrong(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        read_prices(prices_file(tmp_path, text))
    assert told in str(refused.value)
    assert '"usd_per_hour": {"ml.g5.xlarge": 1.408}' in str(refused.value)


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"prices.json cannot be read: No such file"):
        read_prices(tmp_path / "prices.json")


def test_a_price_that_is_said_twice_is_refused(tmp_path: Path) -> None:
    text = '{"region": "r", "as_of": "2025-12", "usd_per_hour": {"ml.g5.xlarge": 1, "ml.g5.xlarge": 2}}'
    with pytest.raises(SettingsError, match=r"is no price table: 'ml\.g5\.xlarge' stands twice in it\. One looks"):
        read_prices(prices_file(tmp_path, text))


def test_a_price_that_must_be_known_names_those_that_are() -> None:
    with pytest.raises(SettingsError, match=r"'ml.p9' is not known .* --prices. There are ml.g4dn.xlarge, ml.g5"):
        known_price("ml.p9", packaged_prices())


def test_an_hour_costs_the_price_of_an_hour() -> None:
    assert cost_of(3600, G5) == G5
    assert cost_of(0, G5) == 0


def test_one_instance_is_idle_until_the_alarm_whatever_the_cooldown() -> None:
    assert idle_seconds(1, scale_in_cooldown=0) == idle_seconds(1, scale_in_cooldown=86_400) == (900, 900)


@pytest.mark.parametrize(("instances", "cooldown"), [(2, 600), (3, 60), (5, 600), (4, 0)])
def test_idle_instances_counted_second_by_second(instances: int, cooldown: int) -> None:
    running, second, paid = instances, 0, 0
    stops_at = 900
    while running:
        if second == stops_at:
            running, stops_at = running - 1, second + cooldown
        else:
            paid, second = paid + running, second + 1
    assert idle_seconds(instances, scale_in_cooldown=cooldown) == (instances * 900, paid)


def test_an_estimate_by_hand() -> None:
    # 300 frames of 2 megapixels at half a second each: 300 s, a twelfth of an hour.
    found = estimate(new_frames=300, width=2000, height=1000, seconds_per_megapixel=0.5, usd_per_hour=G5)
    assert (found.new_frames, found.pixels, found.megapixels) == (300, 600_000_000, 600)
    assert found.endpoint_seconds == 300
    assert found.instance_hours == pytest.approx(1 / 12)
    assert float(found.usd) == pytest.approx(1.408 / 12)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(SettingsError, match=f"seconds_per_megapixel = {speed} must be more than 0"):
        check_speed(speed)
