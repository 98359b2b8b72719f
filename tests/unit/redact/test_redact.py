import pytest

from narrows.redact import redact


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://admin:hunter2@cam/1",
        "redis://:hunter2@h:1/0",
        "https://cam/s?token=hunter2&x=1",
        "a rtsp://u:hunter2@h b",
    ],
)
def test_secrets_in_urls_are_hidden(text: str) -> None:
    assert "hunter2" not in redact(text)


def test_what_holds_no_secret_is_left_alone() -> None:
    assert redact("rtsp://cam.local:554/live?channel=1") == "rtsp://cam.local:554/live?channel=1"
