"""The older systems that the paper builds on: Xie et al. 2017 and Aswin et al. 2014."""
