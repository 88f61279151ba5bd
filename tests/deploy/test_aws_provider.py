"""The provider for AWS from a mirror on disk."""

from deploy.aws_provider import PROVIDER, cli_configuration, configured, mirror


def test_a_mirror_right_in_a_place_or_in_a_folder_of_it_is_found(tmp_path):
    (tmp_path / "empty").mkdir()
    assert mirror([tmp_path / "missing", tmp_path / "empty", tmp_path]) is None
    (tmp_path / "mirrors" / PROVIDER).mkdir(parents=True)
    assert mirror([tmp_path / "empty", tmp_path]) == tmp_path / "mirrors"
    assert mirror([tmp_path / "mirrors"]) == tmp_path / "mirrors"
    assert f'path    = "{tmp_path / "mirrors"}"' in cli_configuration([tmp_path])
    assert cli_configuration([tmp_path / "empty"]) is None


def test_a_configuration_of_somebodys_is_not_touched(tmp_path):
    assert not configured({"HOME": str(tmp_path)})
    (tmp_path / ".terraformrc").write_text("")
    assert configured({"HOME": str(tmp_path)})
    named = tmp_path / "mine"
    assert not configured({"HOME": str(tmp_path), "TF_CLI_CONFIG_FILE": str(named)})  # Terraform would stop there
    named.write_text("")
    assert configured({"HOME": "", "TF_CLI_CONFIG_FILE": str(named)})
