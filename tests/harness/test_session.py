def test_smoke(suite_file, tmp_path):
    from harness import api
    s = api.run_session(suite_file(methods=["zero-shot","majority","spy","raises"]), store=tmp_path/"store", workers=0, device="cpu")
    print({k: (d.status,d.score) for k,d in s.outcomes.items()})
    print(api.load_results(tmp_path/"store").trials.T.to_string())
