"""One layer normalisation of 768 features, as in BERT-base and ViT-B."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, features, values

TASK = Task(
    title="Layer normalisation",
    reference="Ba, Kiros, Hinton: Layer normalization, 2016",
    inputs={"steps": features(128, 768)},
    targets={"wanted": values(128, 768)},
    loss=(LossPart("mse", "output", "wanted"),),
    published=Published(parameters=2 * 768),
    sizes={
        "quick": Size(batch=4, shapes={"steps": (32, 768), "wanted": (32, 768)}),
        "standard": Size(batch=32),
        "large": Size(batch=32, shapes={"steps": (512, 768), "wanted": (512, 768)}),
    },
)
