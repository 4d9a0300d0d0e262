import subprocess
import sys

from tests.conftest import ROOT

CODE = """
import pipelines.contract.quiet_tensorflow
import tensorflow as tf
from melgan.training.determinism import make_deterministic
make_deterministic()
print(tf.config.threading.get_inter_op_parallelism_threads())
try:
    with tf.device("cpu"):
        tf.random.uniform([2])
except RuntimeError:
    print("refused")
"""


def test_operations_start_one_after_the_other_and_those_without_a_seed_are_refused():
    """A random number without a seed is what TensorFlow refuses once operations must be deterministic."""
    result = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["1", "refused"]
